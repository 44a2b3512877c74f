"""HDF5: fields of the structure are overwritten in place, and the checksums made right again.

Which bytes are structure is learned from the reader itself: it is what it asks for when it opens
the honest file.
"""

from __future__ import annotations

import random
import tempfile
import zlib
from pathlib import Path
from unittest import mock

from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.hdf5 import open_hdf5, open_hdf5_bytes
from keras_pretrained.checkpoints.hdf5_checksums import fletcher32, lookup3
from keras_pretrained.checkpoints.hdf5_data import Dataset
from keras_pretrained.checkpoints.hdf5_source import Hdf5Source
from tests.attacks.fuzzing.mutations import damaged_bytes, overwritten
from tests.attacks.fuzzing.target import Target, reading

_GZIP, _CHECKSUM = 1, 3


class Hdf5Seed:
    """One honest file, and what is known of it.

    Attributes:
        stored: its bytes.
        regions: (start, length) of the parts of its structure.
        chunks: (start, length, filters, rank) of packed values.
    """

    def __init__(self, stored: bytes) -> None:
        self.stored = stored
        self.regions: list[tuple[int, int]] = []
        self.chunks: list[tuple[int, int, tuple[int, ...], int]] = []
        original = Hdf5Source.raw

        def raw(source: Hdf5Source, address: int, length: int) -> bytes:
            if length and (address, length) not in self.regions:
                self.regions.append((address, length))
            return original(source, address, length)

        def read_values(source: Hdf5Source, dataset: Dataset) -> None:
            rank = len(dataset.shape)
            for chunk in dataset.chunks:
                place = (chunk.address, chunk.stored_size, dataset.filters, rank)
                self.chunks.append(place)

        with (
            mock.patch.object(Hdf5Source, "raw", raw),
            mock.patch("keras_pretrained.checkpoints.hdf5.read_values", read_values),
            tempfile.NamedTemporaryFile() as file,
        ):
            file.write(stored)
            file.flush()
            for array in open_hdf5_bytes(FileBytes(Path(file.name))).values():
                array._read()
        self.values = [start for start, _ in self.regions] + [len(stored), len(stored) - 8]

    def damaged(self, chance: random.Random) -> bytes:
        """A copy with one to four fields of its structure changed, or the values of a chunk."""
        if chance.random() < 0.02:
            return damaged_bytes(self.stored, chance, 4000)
        data = bytearray(self.stored)
        if self.chunks and chance.random() < 0.15:
            self._damage_chunk(data, chance)
        for _ in range(chance.choice([1, 1, 2, 4])):
            # The signature alone says nothing: it is a door.
            start, length = chance.choice([part for part in self.regions if part != (0, 8)])
            overwritten(data, start, length, chance, self.values)
        data[:8] = self.stored[:8]
        self._repair(data)
        return bytes(data)

    def _damage_chunk(self, data: bytearray, chance: random.Random) -> None:
        """Packs other values, as large as the place allows, and notes their size."""
        start, length, filters, rank = chance.choice(self.chunks)
        payload = bytes(data[start : start + length])
        if _CHECKSUM in filters:
            payload = payload[:-4]
        if _GZIP in filters:
            plain = damaged_bytes(zlib.decompress(payload), chance)
            payload = zlib.compress(plain * chance.choice([1, 1, 50]), 9)
            if chance.random() < 0.2:
                payload = damaged_bytes(payload, chance)
        else:
            payload = damaged_bytes(payload, chance)
        if _CHECKSUM in filters:
            payload += fletcher32(payload).to_bytes(4, "little")
        if len(payload) > length:
            return
        data[start : start + len(payload)] = payload
        # In the tree, the size stands before the address: a mask and a corner lie between.
        at = data.find(start.to_bytes(8, "little")) - 8 * (rank + 1) - 8
        if at >= 0 and data[at : at + 4] == length.to_bytes(4, "little"):
            data[at : at + 4] = len(payload).to_bytes(4, "little")

    def _repair(self, data: bytearray) -> None:
        """The checksums of the headers of HDF5's second version."""
        for start, length in self.regions:
            if bytes(self.stored[start : start + 4]) in (b"OHDR", b"OCHK") and length != 64:
                end = start + length - 4
                data[end : end + 4] = lookup3(bytes(data[start:end])).to_bytes(4, "little")
        if self.stored[8] in (2, 3):
            end = 12 + 4 * self.stored[9]
            data[end : end + 4] = lookup3(bytes(data[:end])).to_bytes(4, "little")


def hdf5(seeds: Path) -> Target:
    names = ("chunked.h5", "latest.h5", "old_keras.h5", "model.weights.h5")
    honest = [Hdf5Seed((seeds / name).read_bytes()) for name in names]
    return Target(
        "hdf5",
        lambda chance: {"a.h5": chance.choice(honest).damaged(chance)},
        lambda: [{"a.h5": seed.stored} for seed in honest],
        reading(open_hdf5),
        ("hdf5_source.Hdf5Source._read_superblock", "hdf5_checksums.check_structure"),
        growth=1100,
    )
