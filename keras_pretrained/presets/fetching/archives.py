"""Archives from strangers: `.zip`, `.tar`, `.tar.gz`, `.tar.bz2`; single files in `.gz` and `.bz2`.

The format is told from the content. Nothing is taken on trust: names, kinds of members, their
number and the bytes that they unpack to are all bounded, and every byte is written by `write_file`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from keras_pretrained.presets.fetching.failure import FetchFailure
from keras_pretrained.presets.fetching.files import CHUNK, Staged, check_space, write_file
from keras_pretrained.presets.fetching.names import Taken, UnsafeName, safe_name

_MOST_MEMBERS = 10_000
# Weights hardly shrink and texts shrink to a fourth; a thousandth is an attack.
_LARGEST_RATIO = 100
_ALWAYS_ALLOWED = 16 * 1024 * 1024
_LARGEST_TOTAL = 256 * 1024**3
_LARGEST_HEADER = 1024 * 1024
_LARGEST_DIRECTORY = 4 * 1024 * 1024
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    struct.error,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
)


class ArchiveError(FetchFailure):
    """An archive that is broken, hostile or of no known kind."""


def unpack(archive: Path, folder: Path, name: str) -> dict[str, Staged]:
    """Unpacks an archive into a new folder.

    Args:
        archive: the file.
        folder: must be empty or absent.
        name: the archive's published name; a single compressed file keeps it without its suffix.

    Returns:
        Path below the folder -> file, for every regular file.

    Raises:
        ArchiveError: a member that could leave the folder, a link or a device, a name that is
            there twice, more than it may unpack to, or a broken file.
        DiskFailure: no room.
    """
    with archive.open("rb") as stream:
        magic = stream.read(4)
    budget = _Budget(archive.stat().st_size)
    output = _Output(folder, budget)
    try:
        if magic in (b"PK\3\4", b"PK\5\6"):
            _unpack_zip(archive, output)
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.open(archive) as stream:
                _unpack_stream(stream, output, name)
        elif magic.startswith(b"BZh"):
            with bz2.open(archive) as stream:
                _unpack_stream(stream, output, name)
        else:
            with archive.open("rb") as stream:
                _unpack_stream(stream, output, None)
    except UnsafeName as error:
        raise ArchiveError(f"{name}: {error}") from error
    if not output.files:
        raise ArchiveError(f"{name} is an empty archive")
    return output.files


class _Budget:
    """How many bytes an archive may still unpack to."""

    def __init__(self, size: int) -> None:
        self._left = min(_LARGEST_TOTAL, max(_ALWAYS_ALLOWED, _LARGEST_RATIO * size))

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ArchiveError(
                f"the archive unpacks to more than {_LARGEST_RATIO} times its size, which no "
                "checkpoint does"
            )


class _Output:
    """The folder that an archive is unpacked into."""

    def __init__(self, folder: Path, budget: _Budget) -> None:
        self.budget = budget
        self.files: dict[str, Staged] = {}
        self._folder = folder
        self._taken = Taken()
        self._members = 0
        folder.mkdir(parents=True, exist_ok=True)

    def count(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise ArchiveError(f"the archive has more than {_MOST_MEMBERS:,} members")

    def add_folder(self, name: str) -> None:
        # The archive's own top is called "." or "./".
        if name.strip("./") or ".." in name:
            self._taken.add_folder(safe_name(name))

    def add_file(self, name: str, read: Callable[[int], bytes]) -> None:
        path = safe_name(name)
        self._taken.add_file(path)
        self.files[path] = write_file(self._folder / path, _guarded(read))

    def check_space(self, needed: int) -> None:
        check_space(self._folder, needed)


def _guarded(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A reader whose failures are the archive's, so that they are not taken for the disk's."""

    def guarded(size: int) -> bytes:
        with _reading():
            return read(size)

    return guarded


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except UnsafeName:
        raise
    except _BROKEN as error:
        raise ArchiveError(
            f"the archive is broken: {str(error)[:200] or 'it ends early'}"
        ) from error


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Stream:
    """What a tar archive is read from: bytes counted against the budget, the first ones seen."""

    def __init__(self, stream: _Readable, budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget
        with _reading():
            self.head = self._take(tarfile.BLOCKSIZE)
        self._unread = self.head

    def read(self, size: int) -> bytes:
        if self._unread:
            chunk, self._unread = self._unread[:size], self._unread[size:]
            return chunk
        with _reading():
            return self._take(size)

    def _take(self, size: int) -> bytes:
        chunk = self._stream.read(min(size, CHUNK))
        self._budget.spend(len(chunk))
        return chunk


class _Member(tarfile.TarInfo):
    """A header whose continuation cannot ask for more memory than names take."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _HEADERS and member.size > _LARGEST_HEADER):
            raise ArchiveError(f"a header of the archive has {member.size:,} bytes")
        return member


def _unpack_stream(stream: _Readable, output: _Output, name: str | None) -> None:
    """A tar archive, or a single file, from its uncompressed bytes.

    Args:
        name: of the compressed file; None where there is no compression and so no single file.
    """
    source = _Stream(stream, output.budget)
    if _is_tar(source.head):
        _unpack_tar(source, output)
    elif name is not None:
        output.add_file(re.sub(r"\.(gz|bz2)$", "", name) or name, source.read)
    else:
        raise ArchiveError(
            f"what the server sent is no archive; it starts with {source.head[:24]!r}"
        )


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _unpack_tar(source: _Stream, output: _Output) -> None:
    # "r|" reads forwards alone: nothing is looked up by an offset that a header states.
    with _reading():
        archive = tarfile.open(  # noqa: SIM115 - what fails here is the archive's fault, not ours
            fileobj=cast(IO[bytes], source), mode="r|", tarinfo=_Member, bufsize=CHUNK
        )
    with archive:
        while True:
            with _reading():
                member = archive.next()
            if member is None:
                break
            output.count()
            if member.isdir():
                output.add_folder(member.name)
                continue
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                raise ArchiveError(
                    f"{member.name[:80]!r} in the archive is a link, a device or another special "
                    "file"
                )
            content = archive.extractfile(member)
            if content is None:
                raise ArchiveError(f"{member.name[:80]!r} in the archive has no content")
            output.add_file(member.name, content.read)
    # The checksum of a compressed stream stands behind its last byte.
    while source.read(CHUNK):
        pass


class _ShortReads(io.BufferedReader):
    """A file of which no more is read at once than the directory of a sane archive takes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = _LARGEST_DIRECTORY + 1
        if size > _LARGEST_DIRECTORY + 1:
            raise ArchiveError(f"the directory of the archive has {size:,} bytes")
        return super().read(size)


def _unpack_zip(archive: Path, output: _Output) -> None:
    with _ShortReads(io.FileIO(archive)) as stream:
        with _reading():
            opened = zipfile.ZipFile(stream)
        members = opened.infolist()
        total = sum(member.file_size for member in members)
        output.budget.spend(total)
        output.check_space(total)
        for member in members:
            output.count()
            name = member.orig_filename
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.flag_bits & 1 or member.compress_type not in _ZIP_METHODS:
                raise ArchiveError(f"{name[:80]!r} in the archive is encrypted or oddly compressed")
            if name.endswith("/"):
                output.add_folder(name)
                continue
            if kind not in (0, stat.S_IFREG):
                raise ArchiveError(f"{name[:80]!r} in the archive is a link or a special file")
            with _reading():
                content = opened.open(member)
            # ZipExtFile stops at the stated size and checks the CRC there.
            with content:
                output.add_file(name, content.read)
