"""The cache: one folder an address, whose manifest says which files are whole.

```text
$KERAS_PRETRAINED_HOME/.fetched/
    <readable part>-<hash of the address>/
        manifest.json     written last: what it does not list does not exist
        content/          the files
        staging/          what is under way; nobody reads it
    .locks/
```

The folders beside `.fetched` belong to the user and are never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_pretrained.presets.fetching.names import UnsafeName, safe_name
from keras_pretrained.presets.json_file import read_json
from keras_pretrained.presets.located import SourceError
from keras_pretrained.presets.placed import home

_FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """One file of an entry, as it was when it was fetched."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Intact(Kept):
    """One that is still there, with the size that it had."""

    path: Path


@dataclass(frozen=True)
class Manifest:
    """What an entry holds.

    Attributes:
        address: where it came from.
        files: path below the content folder -> size and SHA-256.
        whole: whether these are all the files that the address offers to a user who names none.
        revision: the commit of a repository, so that files fetched later belong to the same one.
        etag: the server's name for this version of a single file or archive.
        fetched: when, in UTC.
    """

    address: str
    files: Mapping[str, Kept]
    whole: bool = False
    revision: str | None = None
    etag: str | None = None
    fetched: str = ""


@dataclass(frozen=True)
class Entry:
    """The folder of one address."""

    address: str
    folder: Path
    content: Path = field(init=False)
    staging: Path = field(init=False)
    lock: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", self.folder / "content")
        object.__setattr__(self, "staging", self.folder / "staging")
        object.__setattr__(self, "lock", self.folder.parent / ".locks" / f"{self.folder.name}.lock")

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def read(self) -> Manifest | None:
        """The manifest, or None when there is none that can be trusted."""
        try:
            record = read_json(self._manifest)
            if record["format"] != _FORMAT or record["address"] != self.address:
                return None
            files = {
                safe_name(name): Kept(_natural(each["size"]), _text(each["sha256"]))
                for name, each in record["files"].items()
            }
            return Manifest(
                address=self.address,
                files=files,
                whole=record.get("whole") is True,
                revision=_text_or_none(record.get("revision")),
                etag=_text_or_none(record.get("etag")),
                fetched=_text(record.get("fetched", "")),
            )
        except (SourceError, UnsafeName, OSError, KeyError, TypeError, AttributeError, ValueError):
            return None

    def intact(self) -> dict[str, Intact]:
        """The files that are listed and have the size that is listed."""
        manifest = self.read()
        return {} if manifest is None else self._intact(manifest)

    def _intact(self, manifest: Manifest) -> dict[str, Intact]:
        found = {}
        for name, kept in manifest.files.items():
            path = self.content / name
            try:
                if path.is_file() and path.stat().st_size == kept.size:
                    found[name] = Intact(kept.size, kept.sha256, path)
            except OSError:
                continue
        return found

    def is_whole(self) -> bool:
        """Whether every file that the address offers is here and intact."""
        manifest = self.read()
        if manifest is None or not manifest.whole:
            return False
        return len(self._intact(manifest)) == len(manifest.files)

    def write(self, manifest: Manifest) -> None:
        """Replaces the manifest in one step."""
        record: dict[str, Any] = {
            "format": _FORMAT,
            "address": manifest.address,
            "whole": manifest.whole,
            "revision": manifest.revision,
            "etag": manifest.etag,
            "fetched": manifest.fetched,
            "files": {
                name: {"size": kept.size, "sha256": kept.sha256}
                for name, kept in sorted(manifest.files.items())
            },
        }
        temporary = self._manifest.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self._manifest)
        sync_folder(self.folder)

    def forget(self) -> None:
        """Makes the entry empty for readers; its files may then be moved."""
        self._manifest.unlink(missing_ok=True)


def entry_of(address: str) -> Entry:
    """The place of an address in the cache."""
    digest = hashlib.sha256(address.encode(errors="replace")).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", address.partition("://")[2].partition("?")[0])
    return Entry(address, home() / ".fetched" / f"{readable[-60:].strip('.-')}-{digest}")


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder last, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _natural(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)
