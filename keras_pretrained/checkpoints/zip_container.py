"""Zip archives from strangers: torch files, `.npz`, `.keras`.

Our own reading of the directory, because `zipfile` trusts it: members may there overlap, occur
twice, lie about their sizes, or differ from their own headers. Here the whole structure is
checked before a member is believed, and stored members are views of the file's memory map.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes, typed_view

_LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_LOCATOR64 = b"PK\x06\x07"

_MAX_MEMBERS = 200_000
_MAX_DIRECTORY = 1 << 28
_STORED, _DEFLATED = 0, 8

# Deflate cannot do better than 1032 to 1, so a member that claims to is a lie.
MAX_RATIO = 1032

# Weights are stored uncompressed, or shrink little when an archive is packed again.
_FREE_SIZE = 1 << 26
_WEIGHTS_RATIO = 16


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: its path in the archive.
        offset: where its bytes begin in the file.
        stored_size: how many bytes it takes there.
        size: how many it has when unpacked.
        compressed: whether they differ.
        crc: the checksum of the unpacked bytes.
    """

    name: str
    offset: int
    stored_size: int
    size: int
    compressed: bool
    crc: int

    @property
    def is_bomb(self) -> bool:
        """Whether it is packed better than weights ever are, and large when unpacked."""
        return self.size > max(_FREE_SIZE, _WEIGHTS_RATIO * self.stored_size)


class ZipContainer(Mapping[str, Member]):
    """The members of a zip archive by name, every one of them checked.

    Raises:
        CheckpointError: the archive is damaged or forged: members that overlap, occur twice,
            leave the archive, are encrypted, or contradict their headers.
    """

    def __init__(self, file: FileBytes) -> None:
        self.file = file
        self.path = file.path
        try:
            self._members = self._directory()
        except (ValueError, struct.error) as error:
            raise CheckpointError(
                f"The zip archive {str(file.path)!r} cannot be read: {error}. "
                "It is incomplete, damaged or forged: get it again."
            ) from error

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """A member's bytes, its checksum verified.

        Raises:
            CheckpointError: it is missing, longer than `limit`, or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise CheckpointError(f"The zip archive {str(self.path)!r} has no member {name!r}.")
        if member.size > limit:
            raise CheckpointError(
                f"{str(self.path)!r}: its member {name!r} has {member.size} bytes; expected at "
                f"most {limit}."
            )
        return self._unpack(member)

    def head(self, member: Member, length: int) -> bytes:
        """The first bytes of a member, at most `length`."""
        length = min(length, member.size)
        if not member.compressed:
            return self.file.read(member.offset, length)
        # Deflate's blocks may begin with up to some hundred bytes of tables.
        data = self.file.read(member.offset, min(member.stored_size, length + 4096))
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length)
        except zlib.error as error:
            raise self._cannot_unpack(member, error) from error

    def view(
        self, member: Member, offset: int, shape: Sequence[int], dtype: np.dtype
    ) -> np.ndarray:
        """A read-only array over a part of a member: a view of the file where it is stored."""
        length = prod(shape) * dtype.itemsize
        if offset < 0 or offset + length > member.size:
            raise CheckpointError(
                f"{str(self.path)!r}: bytes {offset} to {offset + length} are needed of the member "
                f"{member.name!r}, which has {member.size}."
            )
        if not member.compressed:
            return self.file.view(member.offset + offset, shape, dtype)
        raw = np.frombuffer(self._unpack(member), np.uint8)
        if length < member.size // 2:
            # A view would keep all of the member alive for a small part of it.
            raw = raw[offset : offset + length].copy()
        else:
            raw = raw[offset : offset + length]
        return typed_view(raw, shape, dtype, self.path)

    def _unpack(self, member: Member) -> bytes:
        data = self.file.read(member.offset, member.stored_size)
        if member.compressed:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflate.decompress(data, member.size + 1)
            except zlib.error as error:
                raise self._cannot_unpack(member, error) from error
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise CheckpointError(
                f"{str(self.path)!r}: its member {member.name!r} is damaged: expected "
                f"{member.size} bytes with checksum {member.crc:08x}. Get the file again."
            )
        return data

    def _cannot_unpack(self, member: Member, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{str(self.path)!r}: its member {member.name!r} cannot be unpacked: {error}. "
            "Get the file again."
        )

    def _directory(self) -> dict[str, Member]:
        offset, size, count = self._end_record()
        if count > _MAX_MEMBERS or size > _MAX_DIRECTORY:
            raise ValueError(f"it lists {count} members in {size} bytes")
        directory = self.file.read(offset, size)
        position = 0
        members: dict[str, Member] = {}
        for _ in range(count):
            member, position = self._central_entry(directory, position, offset)
            if member is None:
                continue
            if member.name in members:
                raise ValueError(f"the member {member.name!r} occurs twice")
            members[member.name] = member
        if position != size:
            raise ValueError("its directory has bytes that belong to no member")
        end = 0
        for member in sorted(members.values(), key=lambda m: (m.offset, m.stored_size)):
            if member.offset < end:
                raise ValueError(f"the member {member.name!r} overlaps another one")
            end = member.offset + member.stored_size
        return members

    def _end_record(self) -> tuple[int, int, int]:
        """Offset, size and number of entries of the directory."""
        file = self.file
        if file.size < 22:
            raise ValueError("it is too short")
        tail_start = max(0, file.size - 22 - 0xFFFF)
        tail = file.read(tail_start, file.size - tail_start)
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            raise ValueError("it does not end with a directory")
        disk, start_disk, here, count, size, offset, comment = struct.unpack_from(
            "<HHHHIIH", tail, at + 4
        )
        if at + 22 + comment != len(tail):
            raise ValueError("bytes follow its directory")
        directory_end = tail_start + at
        locator = directory_end - 20
        if locator >= 0 and file.read(locator, 4) == _LOCATOR64:
            (record,) = struct.unpack("<Q", file.read(locator + 8, 8))
            signature, *wide = struct.unpack("<4s12xIIQQQQ", file.read(record, 56))
            narrow = (disk, start_disk, here, count, size, offset)
            limits = (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2
            agree = all(n in (w, top) for n, w, top in zip(narrow, wide, limits, strict=True))
            if signature != _END64 or not agree or record + 56 > locator:
                raise ValueError("its two directory records contradict each other")
            disk, start_disk, here, count, size, offset = wide
            directory_end = record
        if disk or start_disk or here != count:
            raise ValueError("it is one part of several")
        if offset + size != directory_end:
            raise ValueError("its directory is not where it should be")
        return offset, size, count

    def _central_entry(
        self, directory: bytes, position: int, limit: int
    ) -> tuple[Member | None, int]:
        (
            signature,
            flags,
            method,
            crc,
            stored_size,
            size,
            name_length,
            extra_length,
            comment_length,
            header,
        ) = struct.unpack_from("<4s4xHH4xIIIHHH8xI", directory, position)
        if signature != _CENTRAL:
            raise ValueError("an entry of its directory is broken")
        start = position + 46
        end = start + name_length + extra_length + comment_length
        if end > len(directory):
            raise ValueError("an entry leaves its directory")
        raw_name = directory[start : start + name_length]
        name = _checked_name(raw_name, flags)
        extra = directory[start + name_length : start + name_length + extra_length]
        if 0xFFFFFFFF in (size, stored_size, header):
            size, stored_size, header = _wide_sizes(extra, size, stored_size, header)
        if flags & 0x2041 or method not in (_STORED, _DEFLATED):
            raise ValueError(f"the member {name!r} is encrypted or compressed by method {method}")
        if (method == _STORED and size != stored_size) or size > MAX_RATIO * (stored_size + 1):
            raise ValueError(f"the member {name!r} cannot have {size} bytes in {stored_size}")

        if header + 30 > limit:
            raise ValueError(f"the member {name!r} leaves the file")
        local = struct.unpack("<4s2xHH16xHH", self.file.read(header, 30))
        local_signature, _, local_method, local_name_length, local_extra_length = local
        offset = header + 30 + local_name_length + local_extra_length
        if offset + stored_size > limit:
            raise ValueError(f"the member {name!r} leaves the file")
        same_name = self.file.read(header + 30, local_name_length) == raw_name
        if local_signature != _LOCAL or local_method != method or not same_name:
            raise ValueError(f"the member {name!r} contradicts its own header")
        if name.endswith("/"):
            return None, end
        return Member(name, offset, stored_size, size, method == _DEFLATED, crc), end


def _checked_name(raw: bytes, flags: int) -> str:
    name = raw.decode("utf-8" if flags & 0x800 else "cp437")
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name[0] == "/" or "\\" in name or "\0" in name:
        raise ValueError(f"the member {name[:200]!r} points outside of the archive")
    return name


def _wide_sizes(extra: bytes, *values: int) -> list[int]:
    """Replaces the values that do not fit 32 bits by those of the 64-bit extra field."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            wide = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            result = [next(wide, -1) if value == 0xFFFFFFFF else value for value in values]
            if -1 in result:
                break
            return result
        position += 4 + length
    raise ValueError("a member has no 64-bit sizes")
