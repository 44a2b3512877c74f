"""An HDF5 file as a space of addresses: its superblock, and bytes that are paid for.

The HDF5 library is not used for reading: a few wrong bytes make it crash the process, loop for
minutes or ask for gigabytes, so no error could be reported. Read here is what h5py and Keras
write by default and what the first HDF5 1.8 files hold (superblocks 0 to 3, both kinds of
object header, symbol tables and links in the header). What is not read (links or attributes in
fractal heaps, which `libver="latest"` uses for large groups) says so and names the remedy.
"""

from __future__ import annotations

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.hdf5_checksums import check_structure
from keras_pretrained.checkpoints.hdf5_types import Bytes

SIGNATURE = b"\x89HDF\r\n\x1a\n"

REPACK = "Write it again with h5py's default settings, or run `h5repack` on it."

# Reading the same bytes over and over is how small files take long. Real files read each byte of
# their structure about once, and the structure of the largest has some hundred megabytes. The
# fixed limits are for files that are mostly holes.
_FREE_WORK = 1_000_000
_WORK_PER_BYTE = 64
_MAX_WORK = 1 << 32
_MAX_PART = 1 << 28


class Hdf5Source:
    """The bytes of one HDF5 file, or of one inside an archive.

    Attributes:
        file: the bytes around it.
        start: where its superblock is in them; addresses count from there.
        size: how many bytes follow.
        offset_size, length_size: how wide addresses and lengths are.
        undefined: the address that means none.
        root_address: of the root group's header.

    Raises:
        CheckpointError: it is no HDF5 file. Methods raise it for everything else; messages
            name no file, which the caller adds.
    """

    def __init__(self, file: FileBytes, start: int = 0, size: int | None = None) -> None:
        self.file = file
        self.start = start
        self.size = file.size - start if size is None else size
        self._budget = min(_WORK_PER_BYTE * self.size + _FREE_WORK, _MAX_WORK)
        self._nodes: set[int] = set()
        self._read_superblock()

    def raw(self, address: int, length: int) -> bytes:
        """Bytes of the file. Raises `CheckpointError` outside of it, or when asked too often."""
        if address < 0 or length < 0 or address + length > self.size:
            raise CheckpointError(
                f"bytes {address} to {address + length} are needed, but it has {self.size}"
            )
        if length > _MAX_PART:
            raise CheckpointError(f"a part of its structure has {length} bytes")
        self.spend(length + 16)
        return self.file.read(self.start + address, length)

    def spend(self, amount: int) -> None:
        """Draws on the budget of work, which is proportional to the file."""
        self._budget -= amount
        if self._budget < 0:
            raise CheckpointError("its structure refers to the same parts again and again")

    def claim_node(self, address: int) -> None:
        """Notes that a node of a tree is read, which may happen once."""
        if address in self._nodes:
            raise CheckpointError("a node of a tree occurs twice")
        self._nodes.add(address)

    def tree_node(self, address: int, kind: int, above: int, entry: int) -> tuple[int, int, Bytes]:
        """A node of a version 1 tree.

        Args:
            address: where it is.
            kind: 0 for links, 1 for chunks.
            above: the level of its parent.
            entry: the bytes of a key and a child.

        Returns:
            Its level, its number of children, and their entries.

        Raises:
            CheckpointError: it is broken, not below `above`, or was read before.
        """
        self.claim_node(address)
        length = 8 + 2 * self.offset_size
        cursor = Bytes(self.raw(address, length))
        signature, found, level = cursor.take(4), cursor.number(1), cursor.number(1)
        count = cursor.number(2)
        if signature != b"TREE" or found != kind or level >= above:
            raise CheckpointError(f"the node of a tree at byte {address} is broken")
        return level, count, Bytes(self.raw(address + length, count * entry))

    def _read_superblock(self) -> None:
        at = 0
        while self.raw(at, 8) != SIGNATURE:
            at = max(512, at * 2)
            if at + 8 > self.size:
                raise CheckpointError("it does not start as an HDF5 file does")
        # Addresses count from the superblock; what stands before it belongs to the user.
        self.start += at
        self.size -= at
        stored = self.raw(0, min(self.size, 256))
        cursor = Bytes(stored, 8)
        version = cursor.number(1)
        if version in (0, 1):
            cursor.take(4)
            self.offset_size, self.length_size = cursor.number(1), cursor.number(1)
            cursor.take(9 if version == 0 else 13)
        elif version in (2, 3):
            self.offset_size, self.length_size = cursor.number(1), cursor.number(1)
            cursor.take(1)
        else:
            raise CheckpointError(f"its superblock has the unknown version {version}")
        if self.offset_size not in (4, 8) or self.length_size not in (4, 8):
            raise CheckpointError("its addresses are neither 4 nor 8 bytes wide")
        self.undefined = 2 ** (8 * self.offset_size) - 1
        base = cursor.number(self.offset_size)
        cursor.take(self.offset_size)
        end = cursor.number(self.offset_size)
        cursor.take(2 * self.offset_size if version < 2 else 0)
        self.root_address = cursor.number(self.offset_size)
        if version >= 2:
            check_structure(stored[: cursor.position], cursor.take(4), "its superblock")
        if base != at:
            raise CheckpointError(f"its base address is {base}, but it begins at {at}")
        if end != self.undefined and end > at + self.size:
            raise CheckpointError(f"it should have {end} bytes, but {at + self.size} are there")
