"""Small checkpoints and archives that the tests fetch."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from keras_pretrained.presets import Preset, Source, preset_info

WEIGHTS = bytes(range(256)) * 1200
FILES = {
    "model.safetensors": WEIGHTS,
    "config.json": b"{}",
    "vocab.txt": b"[PAD]\n[UNK]\n",
}
ROLES = {"weights": "model.safetensors", "config": "config.json", "vocabulary": "vocab.txt"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(files: Mapping[str, bytes] = FILES, mode: str = "w:gz", prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            member.mode = 0o7777
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes] = FILES, prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return buffer.getvalue()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def source(
    address: str,
    sizes: Mapping[str, int] | None = None,
    hashes: Mapping[str, str] | None = None,
    files: Mapping[str, str] = ROLES,
) -> Source:
    return Source(address, "hf", files, sizes or {}, hashes or {})


def preset(*sources: Source) -> Preset:
    return replace(preset_info("bert-tiny"), name="small", sources=sources)


HASHES = {role: sha256(FILES[name]) for role, name in ROLES.items()}
SIZES = {role: len(FILES[name]) for role, name in ROLES.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
