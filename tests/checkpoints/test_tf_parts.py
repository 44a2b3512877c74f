"""The parts under the TensorFlow readers: varints, checksums, Snappy, slice keys, tables."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints.crc32c import crc32c, masked_crc32c
from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import read_fields, read_packed_varints, read_varint
from keras_pretrained.checkpoints.snappy import decompress
from keras_pretrained.checkpoints.table import Table
from keras_pretrained.checkpoints.tf_bundle import open_tf_bundle
from keras_pretrained.checkpoints.tf_slices import slice_key
from tests.checkpoints import tf_files

# Made by cramjam 2.14.0: `cramjam.snappy.compress_raw(SNAPPY_TEXT).hex()`.
SNAPPY_TEXT = b"".join(
    b"bert/encoder/layer_%d/attention/self/query/kernel\0" % number for number in range(3)
)
SNAPPY_TEXT += bytes(range(64)) + b"ab" * 300
SNAPPY_GOLDEN = bytes.fromhex(
    "ab06c0626572742f656e636f6465722f6c617965725f302f617474656e74696f6e2f73656c662f7175657279"
    "2f6b65726e656c004a31000031be31000032723100f046000102030405060708090a0b0c0d0e0f1011121314"
    "15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f61"
    "626162616261fe0600fe0600fe0600fe0600fe0600fe0600fe0600fe0600fe0600420600"
)


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"123456789", 0xE3069283),
        # RFC 3720, appendix B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_of_the_standard(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1023, 1024, 4099, 70_001])
def test_crc32c_of_every_path(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert crc32c(data) == tf_files.plain_crc32c(data)
    assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == crc32c(data)
    assert masked_crc32c(data) == tf_files.masked(tf_files.plain_crc32c(data))


def test_crc32c_over_several_chunks() -> None:
    data = bytes(5_000_000)
    pieces = 0
    for start in range(0, len(data), 777_777):
        pieces = crc32c(data[start : start + 777_777], pieces)
    assert crc32c(data) == pieces


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 32, (1 << 63) - 1, (1 << 64) - 1])
def test_varints(value: int) -> None:
    encoded = tf_files.varint(value)
    assert read_varint(memoryview(b"x" + encoded + b"y"), 1) == (value, 1 + len(encoded))


@pytest.mark.parametrize(
    "encoded", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10, b"\xff" * 9 + b"\x02", b"\x80" * 50]
)
def test_broken_varints(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        read_varint(memoryview(encoded), 0)


def test_packed_varints_over_parts() -> None:
    random_bits = random.Random(3)
    values = [random_bits.getrandbits(random_bits.randrange(65)) for _ in range(100_000)]
    encoded = b"".join(tf_files.varint(value) for value in values)
    assert len(encoded) > 1 << 18
    assert read_packed_varints(memoryview(encoded)).tolist() == values
    assert read_packed_varints(memoryview(b"")).size == 0


@pytest.mark.parametrize(
    "encoded", [b"\x80", b"\xff" * 10, b"\xff" * 9 + b"\x02", b"\x80" * 600_000 + b"\0"]
)
def test_broken_packed_varints(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        read_packed_varints(memoryview(encoded))


@pytest.mark.parametrize(
    "encoded",
    [b"\x00\x00", b"\x0b", b"\x0c", b"\x0a\x05abc", b"\x0d\0\0\0", b"\x09\0\0\0\0", b"\x0f"],
)
def test_broken_fields(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        list(read_fields(memoryview(encoded)))


class SnappyWriter:
    """Random elements of every kind, with the text that they stand for.

    The text follows the format's description: it is built here by single-byte steps.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.text = bytearray()
        self.stream = bytearray()

    def literal(self, length: int) -> None:
        data = bytes(self.random.randrange(256) for _ in range(length))
        if length <= 60 and self.random.random() < 0.9:
            self.stream.append(length - 1 << 2)
        else:
            least = max(1, ((length - 1).bit_length() + 7) // 8)
            width = self.random.randint(least, 4)
            self.stream.append(59 + width << 2)
            self.stream += (length - 1).to_bytes(width, "little")
        self.stream += data
        self.text += data

    def copy(self, offset: int, length: int) -> None:
        kinds = [3]
        if offset < 1 << 16:
            kinds.append(2)
        if offset < 1 << 11 and 4 <= length <= 11:
            kinds.append(1)
        kind = self.random.choice(kinds)
        if kind == 1:
            self.stream.append(offset >> 8 << 5 | length - 4 << 2 | 1)
            self.stream.append(offset & 0xFF)
        else:
            self.stream.append(length - 1 << 2 | kind)
            self.stream += offset.to_bytes(2 if kind == 2 else 4, "little")
        for _ in range(length):
            self.text.append(self.text[-offset])

    def write(self, size: int) -> bytes:
        self.literal(self.random.randint(1, 300))
        while len(self.text) < size:
            if self.random.random() < 0.3:
                self.literal(self.random.choice([1, 2, 60, 61, 256, 257, 1000]))
            else:
                near = self.random.choice([1, 2, 3, 8, 2047, 2048, 65_535, 1 << 30])
                self.copy(min(near, len(self.text)), self.random.randint(1, 64))
        return tf_files.varint(len(self.text)) + bytes(self.stream)


@pytest.mark.parametrize("seed", range(20))
def test_snappy_elements(seed: int) -> None:
    writer = SnappyWriter(seed)
    compressed = writer.write(100_000 if seed == 0 else 3000)
    assert decompress(memoryview(compressed)) == bytes(writer.text)


def test_snappy_of_another_program() -> None:
    assert decompress(memoryview(SNAPPY_GOLDEN)) == SNAPPY_TEXT


@pytest.mark.parametrize(
    ("compressed", "problem"),
    [
        (b"", "ends inside"),
        (b"\x05\x00a", "declares 5 bytes and holds 1"),
        (b"\x01\x04ab", "literal of 2 bytes"),
        (b"\x02\x04a", "literal of 2 bytes"),
        (b"\x03\xf0\x02", "literal of 3 bytes"),
        (b"\x05\x00a\x01\x00", "from 0 bytes back"),
        (b"\x05\x00a\x01\x02", "from 2 bytes back"),
        (b"\x04\x00a\x01\x01", "copy of 4 bytes"),
        (b"\x05\x00a\x02\x01", "ends inside an element"),
        (b"\x05\xfc\xff\xff", "ends inside an element"),
        (b"\xff\xff\xff\xff\x0f\x00a", "cannot hold"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00a", "cannot hold"),
        (b"\x00\x00a", "literal of 1 bytes"),
    ],
)
def test_broken_snappy(compressed: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        decompress(memoryview(compressed))


def bundle_entries(count: int) -> list[tuple[bytes, bytes]]:
    """Names that share prefixes, two float32 values each."""
    entries = [tf_files.bundle_header()]
    for number in range(count):
        name = f"scope/layer_{number // 3:04d}/{'abc'[number % 3]}/weights".encode()
        entries.append((name, tf_files.bundle_entry(offset=8 * number)))
    return entries


def literal_only(contents: bytes) -> bytes:
    stream = tf_files.varint(len(contents))
    return stream + bytes([61 << 2]) + (len(contents) - 1).to_bytes(2, "little") + contents


def repeating(contents: bytes) -> bytes:
    """Greedy compression with all three copy kinds, good enough to shrink an index."""
    stream = bytearray(tf_files.varint(len(contents)))
    at = 0
    while at < len(contents):
        length = 0
        for candidate in range(64, 3, -1):
            found = contents.rfind(contents[at : at + candidate], 0, at + candidate - 1)
            if 0 <= found < at and at + candidate <= len(contents):
                length, offset = candidate, at - found
                break
        if length == 0:
            stream += bytes([0, contents[at]])
            at += 1
            continue
        if length <= 11 and offset < 1 << 11:
            stream += bytes([offset >> 8 << 5 | length - 4 << 2 | 1, offset & 0xFF])
        elif at % 2:
            stream += bytes([length - 1 << 2 | 2]) + offset.to_bytes(2, "little")
        else:
            stream += bytes([length - 1 << 2 | 3]) + offset.to_bytes(4, "little")
        at += length
    return bytes(stream)


@pytest.mark.parametrize("compress", [None, literal_only, repeating])
@pytest.mark.parity
def test_tensorflow_reads_the_same_table(tmp_path: Path, compress: object) -> None:
    """TensorFlow accepts what the tests write, compressed too, and sees the same tensors."""
    tf = pytest.importorskip("tensorflow")
    data = np.arange(200, dtype=np.float32).tobytes()
    (tmp_path / "x.data-00000-of-00001").write_bytes(data)
    # TensorFlow compares the checksum of each tensor when it reads it.
    entries = [tf_files.bundle_header()]
    for number, (name, _) in enumerate(bundle_entries(100)[1:]):
        part = data[8 * number : 8 * number + 8]
        checksum = tf_files.masked(tf_files.plain_crc32c(part))
        entries.append((name, tf_files.bundle_entry(offset=8 * number, checksum=checksum)))
    table = tf_files.table_of(entries, per_block=30)
    if callable(compress):
        table.blocks = [(compress(contents), 1) for contents, _ in table.blocks]
    (tmp_path / "x.index").write_bytes(table.build())
    reader = tf.train.load_checkpoint(str(tmp_path / "x"))
    checkpoint = open_tf_bundle(tmp_path / "x")
    assert sorted(checkpoint) == sorted(reader.get_variable_to_shape_map())
    for name in checkpoint:
        np.testing.assert_array_equal(checkpoint[name].read(), reader.get_tensor(name))


def test_lookups_find_every_key_and_no_other() -> None:
    entries = bundle_entries(100)
    table = Table(tf_files.table_of(entries, per_block=7).build())
    assert [(key, bytes(value)) for key, value in table.entries()] == entries
    for key, value in entries:
        assert table.get(key) == value
        assert table.get(key + b"\0") is None
    assert table.get(b"\xff") is None


@pytest.mark.parametrize(
    ("extents", "tail"),
    [
        ((), b"\0"),
        (((0, -1),), b"\x01\x01\x80\x7f"),
        (((63, 64),), b"\x01\x01\xbf\xc0\x40"),
        (((8191, 8192),), b"\x01\x01\xdf\xff\xe0\x20\x00"),
    ],
)
def test_slice_keys(extents: tuple[tuple[int, int], ...], tail: bytes) -> None:
    """Hand-made from the description of the ordered code."""
    assert slice_key("a\0b\u00ff", extents) == b"\0a\0\xffb\xc3\xbf\0\x01" + tail
