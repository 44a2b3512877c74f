"""Reads the files of a preset and compares them with the published hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from keras_pretrained.presets.advice import missing_files
from keras_pretrained.presets.digests import is_published, md5_of
from keras_pretrained.presets.fetching.entries import entry_of
from keras_pretrained.presets.located import SourceError
from keras_pretrained.presets.lookup import complete_placement, damaged
from keras_pretrained.presets.placed import Placement
from keras_pretrained.presets.preset import Preset
from keras_pretrained.presets.registry import preset_info


@dataclass(frozen=True)
class FileCheck:
    """The outcome for one file: its SHA-256, and the published digest where there is one.

    `published` is a SHA-256 or its first digits, or `"md5:"` and an MD5.
    """

    role: str
    path: Path
    sha256: str
    published: str | None


def verify_files(preset: Preset | str) -> list[FileCheck]:
    """Reads every file of a preset on this machine and compares it with the published digest.

    A file that was fetched must also still be what it was then. Nothing is fetched.

    Returns:
        One entry a file. `published` is None where no hash is known: such a file was only read.

    Raises:
        SourceError: the files are not there, or one of them differs.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    placement, partly = complete_placement(record)
    if placement is None:
        raise SourceError(missing_files(record, partly))
    fetched = _fetched_digests(placement)
    checks = []
    for role, path in placement.files.items():
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        published = placement.source.sha256.get(role)
        if not is_published(published, digest):
            raise damaged(record, placement.source, path, f"SHA-256 {published}", digest)
        if (md5 := placement.source.md5.get(role)) is not None:
            if (found := md5_of(path)) != md5:
                raise damaged(record, placement.source, path, f"MD5 {md5}", found)
            published = published or f"md5:{md5}"
        if fetched.get(path, digest) != digest:
            expected = f"SHA-256 {fetched[path]} as when it was fetched"
            raise damaged(record, placement.source, path, expected, digest)
        checks.append(FileCheck(role, path, digest, published))
    return checks


def _fetched_digests(placement: Placement) -> dict[Path, str]:
    """What the files of a cache entry were when they were fetched."""
    entry = entry_of(placement.source.address)
    manifest = entry.read()
    if manifest is None or not placement.folder.is_relative_to(entry.content):
        return {}
    return {entry.content / name: kept.sha256 for name, kept in manifest.files.items()}
