"""Published digests, as publishers give them: SHA-256, its first digits, or MD5."""

from __future__ import annotations

import hashlib
from pathlib import Path


def is_published(published: str | None, found: str) -> bool:
    """Whether a digest is the published one.

    Args:
        published: hexadecimal digits, all or the first of them (torchvision puts eight into its
            file names); None where none is known, which everything agrees with.
        found: all digits.
    """
    return published is None or found.startswith(published)


def md5_of(path: Path) -> str:
    """The MD5 of a file.

    It tells a damaged or other file from the right one, which is what publishers of old files
    give it for; it is no protection from one that was forged.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
