"""Broken and hostile TensorFlow files: always `CheckpointError`, never another end.

All checksums are repaired, so that the checks behind them are reached.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import table as table_module
from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_pretrained.checkpoints.saved_model import open_saved_model
from keras_pretrained.checkpoints.tf_bundle import open_tf_bundle, verify_bundle
from keras_pretrained.checkpoints.tf_slices import slice_key
from keras_pretrained.checkpoints.tf_v1 import open_tf_v1
from tests.attacks.fuzzing.targets.tensorflow import bundle_files, v1_entries
from tests.checkpoints.tf_files import (
    TableFile,
    block,
    bundle_entry,
    bundle_header,
    extents,
    masked,
    message,
    number,
    plain_crc32c,
    read_table,
    table_of,
    v1_list,
    v1_slice,
    v1_tensor,
    varint,
)

HUGE = (1 << 63) - 1
# The files here have a few kilobytes; most of this is Python's own.
MEMORY_LIMIT = 8_000_000
# Processor seconds to open one file and read all of it.
TIME_LIMIT = 2.0

DATA = np.arange(6, dtype=np.float32).tobytes()


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    # Tables of the checksum are made once and are no cost of a file.
    table_module.crc32c(bytes(5000))
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_LIMIT


def write_bundle(folder: Path, index: TableFile | bytes, data: bytes = DATA) -> Path:
    stored = index if isinstance(index, bytes) else index.build()
    (folder / "x.index").write_bytes(stored)
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x"


def bundle_of(*entries: tuple[bytes, bytes]) -> TableFile:
    return table_of([bundle_header(), *entries])


def honest() -> TableFile:
    return bundle_of(*((b"w%d" % n, bundle_entry(offset=8 * n)) for n in range(3)))


def read_all(checkpoint: Checkpoint) -> None:
    for array in checkpoint.values():
        assert array.read().shape == array.shape


def refuses(
    path: Path, problem: str, opener: Callable[[Path], Checkpoint] = open_tf_bundle
) -> None:
    start = time.process_time()
    with pytest.raises(CheckpointError, match=problem):
        read_all(opener(path))
    assert time.process_time() - start < TIME_LIMIT


def test_the_honest_file_is_read(tmp_path: Path) -> None:
    checkpoint = open_tf_bundle(write_bundle(tmp_path, honest()))
    assert checkpoint["w2"].read().tolist() == [4, 5]


ENTRIES = {
    "giant shape": (bundle_entry(1, [1 << 40], size=4 << 40), "has 24 bytes, its index describes"),
    "giant empty shape": (bundle_entry(1, [HUGE, HUGE, 0], size=0), "more elements than any"),
    "overflowing product": (bundle_entry(1, [1 << 32, 1 << 32], size=0), "more elements"),
    "size of another shape": (bundle_entry(1, [2], size=16), r"\[2\] is declared with 16 bytes"),
    "size of another type": (bundle_entry(2, [2], size=8), r"float64\[2\] is declared with 8"),
    "negative dimension": (bundle_entry(1, [-2, -1], size=8), "dimension of -2"),
    "negative offset": (bundle_entry(offset=-8), "8 bytes at byte -8"),
    "negative size": (bundle_entry(size=-8), "-8 bytes at byte 0"),
    "huge offset": (bundle_entry(offset=HUGE), "its index describes"),
    "behind the end": (bundle_entry(offset=20), "its index describes 28"),
    "shard of none": (bundle_entry(shard=1), "data file 1 of 1"),
    "negative shard": (bundle_entry(shard=-1), "data file -1 of 1"),
    "no type": (bundle_entry(0), "0 is not the number"),
    "reference type": (bundle_entry(101), "101 is not the number"),
    "33 dimensions": (bundle_entry(1, [1] * 33, size=4), "more than 32 dimensions"),
    "unknown rank": (number(1, 1) + message(2, number(3, 1)), "unknown rank"),
    "too many strings": (bundle_entry(7, [20], size=23), "20 strings cannot be stored in 23"),
    "dimension as number": (number(1, 1) + message(2, number(2, 5)), "is not a message"),
    "shape as number": (number(1, 1) + number(2, 5), "Field 2 is stored as varint"),
    "cut message": (b"\x08\x01\x12\x7f\x00", "Field 2 declares 127 bytes"),
    "group": (b"\x0b", "unsupported wire type"),
    "nested too deep for none": (b"\x12" * 5000, "declares|field number|wire type"),
    "unlisted slice": (bundle_entry(1, [2], 0, 0, 0, 0, extents(None)), "listed but not stored"),
    "slice outside": (bundle_entry(1, [2], 0, 0, 0, 0, extents((1, 2))), "leaves a dimension"),
    "slice before": (bundle_entry(1, [2], 0, 0, 0, 0, extents((-1, 2))), "leaves a dimension"),
    "slice of huge": (bundle_entry(1, [2], 0, 0, 0, 0, extents((HUGE, HUGE))), "leaves a dim"),
    "slice of rank 2": (bundle_entry(1, [2], 0, 0, 0, 0, extents(None, None)), "2 dimensions"),
    "slice too small": (bundle_entry(1, [2], 0, 0, 0, 0, extents((0, 1))), "hold 1 elements"),
    "slice twice": (
        bundle_entry(1, [2], 0, 0, 0, 0, *[extents((0, 1))] * 2),
        "the same slice twice",
    ),
}


@pytest.mark.parametrize(("entry", "problem"), ENTRIES.values(), ids=ENTRIES.keys())
def test_entries(tmp_path: Path, entry: bytes, problem: str) -> None:
    path = write_bundle(tmp_path, bundle_of((b"bad/name", entry)))
    refuses(path, problem)
    with pytest.raises(CheckpointError, match=problem):
        verify_bundle(path)


def test_the_error_names_file_and_tensor(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, bundle_of((b"bad/name", bundle_entry(0))))
    refuses(path, r"x\.index: tensor 'bad/name': .*get it again")


HEADERS = {
    "big-endian": (bundle_header(1, number(2, 1)), "big-endian"),
    "future": ((b"", number(1, 1) + message(3, number(2, 2))), "reader of version 2"),
    "no data files": (bundle_header(0), "declares 0 data files"),
    "negative data files": (bundle_header(-1), "declares -1 data files"),
    "none": ((b"a", bundle_entry()), "does not begin with the header"),
    "V1": (v1_list(), "Field 1 is stored as length-delimited"),
}


@pytest.mark.parametrize(("header", "problem"), HEADERS.values(), ids=HEADERS.keys())
def test_headers(tmp_path: Path, header: tuple[bytes, bytes], problem: str) -> None:
    refuses(write_bundle(tmp_path, table_of([header])), problem)


def test_a_billion_data_files(tmp_path: Path) -> None:
    index = table_of([bundle_header(1 << 40), (b"w", bundle_entry(shard=1 << 39))])
    refuses(write_bundle(tmp_path, index), "needs the data file .* beside it")


def test_shared_bytes(tmp_path: Path) -> None:
    index = bundle_of((b"a", bundle_entry(offset=0)), (b"b", bundle_entry(offset=4)))
    refuses(write_bundle(tmp_path, index), "two tensors share bytes at 4")


def test_overlapping_slices(tmp_path: Path) -> None:
    parts = [extents((0, 2)), extents((1, 2))]
    index = bundle_of(
        (b"w", bundle_entry(1, [4], 0, 0, 0, 0, *parts)),
        (slice_key("w", ((0, 2),)), bundle_entry(offset=0)),
        (slice_key("w", ((1, 2),)), bundle_entry(offset=8)),
    )
    refuses(write_bundle(tmp_path, index), "tensor 'w': The slices overlap")


@pytest.mark.parametrize(
    "piece",
    [
        bundle_entry(1, [3], size=12),
        bundle_entry(3, [2]),
        bundle_entry(1, [2], 0, 0, 0, 0, extents(None)),
    ],
)
def test_slices_of_another_kind(tmp_path: Path, piece: bytes) -> None:
    whole = bundle_entry(1, [2], 0, 0, 0, 0, extents(None))
    index = bundle_of((b"w", whole), (slice_key("w", ((0, -1),)), piece))
    refuses(write_bundle(tmp_path, index), "tensor 'w': Its slice .* is stored as")


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"\x01\x01", "ends inside|wrong checksum"),
        (b"\x80\x80\x80\x80\x80\x80", "ends inside"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01abcd", "wrong checksum"),
        (b"\x02\x02abcdefgh", "wrong checksum"),
    ],
)
def test_strings(tmp_path: Path, stored: bytes, problem: str) -> None:
    stored = stored.ljust(6, b"\0")
    index = bundle_of((b"s", bundle_entry(7, [2], size=len(stored))))
    path = write_bundle(tmp_path, index, stored)
    refuses(path, problem)
    assert verify_bundle(path) == ["s"]


def test_string_lengths_that_leave_the_tensor(tmp_path: Path) -> None:
    lengths = (1 << 31).to_bytes(4, "little")
    stored = varint(1 << 31) + masked(plain_crc32c(lengths)).to_bytes(4, "little") + b"abc"
    index = bundle_of((b"s", bundle_entry(7, [], size=len(stored))))
    refuses(write_bundle(tmp_path, index, stored), "Strings of 2147483648 bytes are stored in 3")


def test_booleans_of_two(tmp_path: Path) -> None:
    index = bundle_of((b"b", bundle_entry(10, [3], size=3)))
    refuses(write_bundle(tmp_path, index, b"\0\1\2"), "boolean")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    refuses(write_bundle(tmp_path, bundle_of((b"\xff\xfe", bundle_entry()))), "not valid UTF-8")


def change(**attributes: object) -> TableFile:
    table = table_of([bundle_header(), (b"a", bundle_entry()), (b"b", bundle_entry(offset=8))], 1)
    for name, value in attributes.items():
        setattr(table, name, value)
    return table


def one_block(contents: bytes, kind: int = 0) -> TableFile:
    return TableFile(blocks=[(contents, kind)], separators=[b"zzz"])


HEADER_ENTRY = b"\0\0" + varint(len(bundle_header()[1])) + bundle_header()[1]
RESTART = b"\0\0\0\0\x01\0\0\0"

TABLES = {
    "huge handle": (change(handles={1: (HUGE, HUGE)}), "would end behind"),
    "wrapping handle": (change(handles={1: ((1 << 64) - 1, 10)}), "would end behind"),
    "handle into the index": (change(handles={2: (60, 400)}), "would end behind|overlap"),
    "backward handle": (change(handles={2: (0, 10)}), "overlap or go backward"),
    "cyclic handle": (change(handles={1: (0, 10)}), "overlap or go backward"),
    "index is footer": (change(index_handle=(200, 400)), "would end behind"),
    "huge index": (change(index_handle=(0, HUGE)), "would end behind"),
    "huge metaindex": (change(metaindex_handle=(HUGE, HUGE)), "would end behind"),
    "index is a data block": (change(index_handle=(0, 21)), "checksum|overlap|ends inside"),
    "index of garbage": (change(index_block=b"\xff" * 50), "declares 4294967295 restart"),
    "handle with a tail": (
        change(index_block=block([(b"z", b"\0\0\0")])),
        "overlap or go backward",
    ),
    "cut handle": (change(index_block=block([(b"z", b"\x80")])), "ends inside"),
    "separators descend": (change(separators=[b"c", b"b", b"a"]), "not in ascending order"),
    "separator too small": (change(separators=[b"", b"A", b"b"]), "behind its index entry"),
    "keys again in a later block": (
        change(blocks=[(block([bundle_header()]), 0)] * 3),
        "does not|not in ascending",
    ),
    "empty block": (one_block(b""), "too small for its restart"),
    "three bytes": (one_block(b"\0\0\0"), "too small for its restart"),
    "restarts beyond": (one_block(b"\0" * 8 + b"\xff\xff\xff\xff"), "declares 4294967295"),
    "restart outside": (
        one_block(block([bundle_header(), (b"a", b"")], restarts=[0, 4000])),
        "out of order or outside",
    ),
    "restarts descend": (
        one_block(block([bundle_header(), (b"a", b"")], restarts=[0, 9, 5])),
        "out of order or outside",
    ),
    "restart not at zero": (one_block(block([bundle_header()], restarts=[3])), "out of order"),
    "shared without a key": (one_block(block([bundle_header()], share=1)), "leaves the block"),
    "shares too much": (
        one_block(HEADER_ENTRY + b"\x05\x01\x00a" + RESTART),
        "leaves the block",
    ),
    "huge key": (one_block(b"\0" + varint(HUGE) + b"\0" + RESTART), "leaves the block"),
    "huge value": (one_block(b"\0\0" + varint(HUGE) + RESTART), "value of .* leaves"),
    "varint overflow": (one_block(b"\xff" * 11 + RESTART), "does not fit in 64 bits"),
    "varint without end": (one_block(b"\x80\x80" + RESTART), "ends inside"),
    "descending keys": (
        one_block(HEADER_ENTRY + b"\0\x01\0b" + b"\0\x01\0a" + RESTART),
        "ascending|no type|not the number",
    ),
    "equal keys": (
        one_block(HEADER_ENTRY * 2 + RESTART),
        "ascending",
    ),
    "unknown compression": (one_block(block([bundle_header()]), 2), "unknown compression 2"),
    "snappy bomb": (one_block(varint((1 << 32) - 1) + b"\0a" + b"\xfe\x01\0" * 100, 1), "cannot"),
    "snappy of nothing": (one_block(b"", 1), "ends inside"),
    "snappy of garbage": (one_block(b"\x10" + b"\xff" * 10, 1), "leaves its block"),
}


@pytest.mark.parametrize(("table", "problem"), TABLES.values(), ids=TABLES.keys())
def test_tables(tmp_path: Path, table: TableFile, problem: str) -> None:
    path = write_bundle(tmp_path, table)
    refuses(path, problem)
    refuses(tmp_path / "x.index", ".", open_tf_v1)


def test_key_bomb_in_ascending_order(tmp_path: Path) -> None:
    out = bytearray(HEADER_ENTRY + varint(0) + varint(30_000) + b"\0" + b"k" * 30_000)
    key = b"k" * 30_000
    for _ in range(3000):
        out += varint(len(key)) + b"\x01\0" + b"a"
        key += b"a"
    table = one_block(bytes(out) + RESTART)
    (tmp_path / "x").write_bytes(table.build())
    refuses(tmp_path / "x", "share more bytes", open_tf_v1)


def test_more_entries_than_any_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "_MAX_ENTRIES", 3)
    refuses(write_bundle(tmp_path, honest()), "more than 3 entries")
    refuses(
        write_bundle(
            tmp_path,
            table_of(
                [bundle_header()] + [(b"w%d" % n, bundle_entry(offset=8 * n)) for n in range(3)], 1
            ),
        ),
        "more than 3 blocks",
    )
    refuses(tmp_path / "x.index", "more than 3", open_tf_v1)


def test_a_checksum_that_does_not_match(tmp_path: Path) -> None:
    stored = bytearray(honest().build())
    stored[10] ^= 1
    refuses(write_bundle(tmp_path, bytes(stored)), "wrong checksum")


def test_every_truncation_of_the_index(tmp_path: Path) -> None:
    stored = honest().build()
    for length in range(len(stored)):
        refuses(write_bundle(tmp_path, stored[:length]), ".")


def test_every_truncation_of_the_data(tmp_path: Path) -> None:
    for length in range(len(DATA)):
        refuses(write_bundle(tmp_path, honest(), DATA[:length]), "The file is incomplete")


def test_files_that_are_no_files(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, honest())
    (tmp_path / "x.data-00000-of-00001").unlink()
    refuses(path, r"needs the data file 'x\.data-00000-of-00001' beside it \(1 in all\)")
    os.mkfifo(tmp_path / "x.data-00000-of-00001")
    refuses(path, "not a regular file")
    (tmp_path / "x.index").unlink()
    refuses(path, "x.index")
    os.mkfifo(tmp_path / "x.index")
    refuses(path, "not a regular file")
    refuses(tmp_path / "x.index", "not a regular file", open_tf_v1)
    (tmp_path / "x.index").unlink()
    (tmp_path / "x.index").mkdir()
    refuses(path, "not a regular file")
    refuses(tmp_path / "none" / "x", "cannot be read")
    refuses(tmp_path / "none" / "x", "cannot be read", open_tf_v1)
    refuses(tmp_path / "none", "is no SavedModel", open_saved_model)


def test_a_file_that_shrinks_after_it_was_opened(tmp_path: Path) -> None:
    checkpoint = open_tf_bundle(write_bundle(tmp_path, honest()))
    os.truncate(tmp_path / "x.data-00000-of-00001", 4)
    with pytest.raises(CheckpointError, match="shrank"):
        read_all(checkpoint)
    (tmp_path / "v1").write_bytes(table_of(v1_entries()).build())
    checkpoint = open_tf_v1(tmp_path / "v1")
    os.truncate(tmp_path / "v1", 4)
    with pytest.raises(CheckpointError, match="shrank"):
        read_all(checkpoint)


FLOATS = message(5, np.array([1, 2], "<f4").tobytes())
WHOLE = extents(None)
KEY = slice_key("w", ((0, -1),))


def v1_of(tensor: bytes, *entries: tuple[bytes, bytes]) -> TableFile:
    return table_of([v1_list(tensor), *entries])


V1 = {
    "not stored": (v1_of(v1_tensor("w", 1, [2], WHOLE)), "listed but not stored"),
    "no slices": (v1_of(v1_tensor("w", 1, [2])), "hold 0 elements"),
    "giant shape": (
        v1_of(v1_tensor("w", 1, [1 << 50], WHOLE), (KEY, v1_slice("w", WHOLE, FLOATS))),
        "1125899906842624 values of type float32 are declared, 2 stored",
    ),
    "giant varints": (
        v1_of(v1_tensor("w", 9, [1 << 50], WHOLE), (KEY, v1_slice("w", WHOLE, message(10, b"\1")))),
        "1125899906842624 values",
    ),
    "giant strings": (
        v1_of(v1_tensor("w", 7, [1 << 50], WHOLE), (KEY, v1_slice("w", WHOLE, message(8, b"a")))),
        "1125899906842624 values",
    ),
    "half a float": (
        v1_of(v1_tensor("w", 1, [2], WHOLE), (KEY, v1_slice("w", WHOLE, message(5, b"\0" * 7)))),
        "2 values of type float32 are declared",
    ),
    "other type": (
        v1_of(v1_tensor("w", 2, [2], WHOLE), (KEY, v1_slice("w", WHOLE, FLOATS))),
        "0 stored",
    ),
    "two runs": (
        v1_of(v1_tensor("w", 1, [2], WHOLE), (KEY, v1_slice("w", WHOLE, FLOATS * 2))),
        "2 runs",
    ),
    "large int8": (
        v1_of(
            v1_tensor("w", 6, [2], WHOLE),
            (KEY, v1_slice("w", WHOLE, message(7, varint(128) + varint(0)))),
        ),
        "does not fit in int8",
    ),
    "large half": (
        v1_of(
            v1_tensor("w", 19, [2], WHOLE),
            (KEY, v1_slice("w", WHOLE, message(13, varint(1 << 16) + varint(0)))),
        ),
        "more than 16 bits",
    ),
    "boolean of two": (
        v1_of(
            v1_tensor("w", 10, [2], WHOLE), (KEY, v1_slice("w", WHOLE, message(11, b"\x02\x00")))
        ),
        "does not fit in bool",
    ),
    "another slice": (
        v1_of(v1_tensor("w", 1, [2], WHOLE), (KEY, v1_slice("v", WHOLE, FLOATS))),
        "lies another one",
    ),
    "float8": (
        v1_of(v1_tensor("w", 24, [2], WHOLE), (KEY, v1_slice("w", WHOLE, FLOATS))),
        "cannot hold the type",
    ),
    "two types": (
        table_of([v1_list(v1_tensor("w", 1, [2], WHOLE), v1_tensor("w", 2, [2], WHOLE))]),
        "two types or shapes",
    ),
    "the same twice": (
        table_of([v1_list(*[v1_tensor("w", 1, [2], WHOLE)] * 2)]),
        "same slice twice",
    ),
    "no list": (table_of([(b"a", b"")]), "no list of tensors"),
    "V2": (honest(), "Field 1 is stored as varint"),
}


@pytest.mark.parametrize(("table", "problem"), V1.values(), ids=V1.keys())
def test_v1(tmp_path: Path, table: TableFile, problem: str) -> None:
    (tmp_path / "x").write_bytes(table.build())
    refuses(tmp_path / "x", problem, open_tf_v1)


def test_v1_overlapping_slices(tmp_path: Path) -> None:
    parts = [extents((0, 2)), extents((1, 2))]
    entries = [
        (slice_key("w", ((start, 2),)), v1_slice("w", part, FLOATS))
        for start, part in enumerate(parts)
    ]
    (tmp_path / "x").write_bytes(v1_of(v1_tensor("w", 1, [4], *parts), *entries).build())
    refuses(tmp_path / "x", "slices overlap", open_tf_v1)


def test_v1_missing_shard(tmp_path: Path) -> None:
    (tmp_path / "x-00000-of-00003").write_bytes(table_of([v1_list()]).build())
    refuses(tmp_path / "x", "one of 3 shards, 'x-00001-of-00003' is missing", open_tf_v1)
    (tmp_path / "x-00000-of-99999").write_bytes(table_of([v1_list()]).build())
    refuses(tmp_path / "x-00000-of-99999", "'x-00001-of-99999' is missing", open_tf_v1)


def graph_bundle(graph: bytes) -> tuple[TableFile, bytes]:
    size = len(graph).to_bytes(4, "little")
    stored = varint(len(graph)) + masked(plain_crc32c(size)).to_bytes(4, "little") + graph
    entries = [
        (b"_CHECKPOINTABLE_OBJECT_GRAPH", bundle_entry(7, [], offset=len(DATA), size=len(stored))),
        *((b"v/%d/.ATTRIBUTES/VARIABLE_VALUE" % n, bundle_entry(offset=8 * n)) for n in range(3)),
    ]
    return bundle_of(*entries), DATA + stored


def attribute(full_name: bytes, key: bytes) -> bytes:
    return message(
        1, message(2, message(1, b"VARIABLE_VALUE"), message(2, full_name), message(3, key))
    )


def test_object_graphs(tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    variables.mkdir()
    key = b"v/0/.ATTRIBUTES/VARIABLE_VALUE"

    def write(graph: bytes) -> None:
        index, data = graph_bundle(graph)
        (variables / "variables.index").write_bytes(index.build())
        (variables / "variables.data-00000-of-00001").write_bytes(data)

    write(attribute(b"v/1", key))
    # The name of another variable's path is not used.
    assert sorted(open_saved_model(tmp_path)) == ["v/0", "v/1", "v/2"]
    assert open_saved_model(tmp_path)["v/1"].read().tolist() == [2, 3]
    write(attribute(b"kernel:0", key) + attribute(b"kernel", b"of/nothing"))
    assert sorted(open_saved_model(tmp_path)) == ["kernel", "v/1", "v/2"]
    for broken in (b"\x0a\x7f", b"\x0a\x02\x12\x05", attribute(b"\xff", key), b"\x08\x01"):
        write(broken)
        refuses(tmp_path, "_CHECKPOINTABLE_OBJECT_GRAPH", open_saved_model)
        refuses(variables / "variables", "_CHECKPOINTABLE_OBJECT_GRAPH")
    index = bundle_of((b"_CHECKPOINTABLE_OBJECT_GRAPH", bundle_entry()))
    (variables / "variables.index").write_bytes(index.build())
    refuses(tmp_path, "is not one string", open_saved_model)


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ([message(1, number(1, 5), message(2, b"v"))], "node 5 of 1"),
        ([message(1, number(1, -1), message(2, b"v"))], "node -1 of 1"),
        ([message(1, message(1, b"abc"), message(2, b"v"))], "Field 1 is stored as"),
    ],
)
def test_saved_graphs(tmp_path: Path, nodes: list[bytes], problem: str) -> None:
    (tmp_path / "variables").mkdir()
    index = bundle_of((b"v/0/.ATTRIBUTES/VARIABLE_VALUE", bundle_entry()))
    (tmp_path / "variables" / "variables.index").write_bytes(index.build())
    (tmp_path / "variables" / "variables.data-00000-of-00001").write_bytes(DATA)
    graph = message(2, message(7, *(message(1, node) for node in nodes)))
    (tmp_path / "saved_model.pb").write_bytes(graph)
    refuses(tmp_path, rf"saved_model\.pb: .*{problem}", open_saved_model)
    # A cycle is followed as far as the key goes.
    cycle = message(1, number(1, 0), message(2, b"v")) + message(1, number(1, 0), message(2, b"0"))
    (tmp_path / "saved_model.pb").write_bytes(message(2, message(7, message(1, cycle))))
    assert list(open_saved_model(tmp_path)) == ["v/0"]


def test_the_seeds_of_the_fuzzer_are_whole(tmp_path: Path) -> None:
    entries, data = bundle_files()
    path = write_bundle(tmp_path, table_of(entries), data)
    checkpoint = open_tf_bundle(path)
    read_all(checkpoint)
    assert checkpoint["rows"].shape == (4, 2)
    assert checkpoint.metadata["friendly_names"] == {"m/k": "dense/kernel"}
    assert verify_bundle(path) == []
    (tmp_path / "v1").write_bytes(table_of(v1_entries()).build())
    assert len(open_tf_v1(tmp_path / "v1")) == 5
    read_all(open_tf_v1(tmp_path / "v1"))
    assert read_table(table_of(v1_entries(), 2).build()) == sorted(v1_entries())
