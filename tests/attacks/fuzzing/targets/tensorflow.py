"""TensorFlow's containers: tables and protocol buffers, below checksums that are right."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.saved_model import open_saved_model
from keras_pretrained.checkpoints.tf_bundle import open_tf_bundle, verify_bundle
from keras_pretrained.checkpoints.tf_slices import slice_key
from keras_pretrained.checkpoints.tf_v1 import open_tf_v1
from tests.attacks.attack import read_all
from tests.attacks.fuzzing.mutations import damaged_bytes
from tests.attacks.fuzzing.protobuf_tree import damaged_message
from tests.attacks.fuzzing.target import Target, reading
from tests.checkpoints.tf_files import (
    block,
    bundle_entry,
    bundle_header,
    extents,
    fixed32,
    masked,
    message,
    number,
    plain_crc32c,
    table_of,
    v1_list,
    v1_slice,
    v1_tensor,
    varint,
)

Entries = list[tuple[bytes, bytes]]

# A table that is damaged itself is refused at these, an entry of it elsewhere.
_DOORS = ("table.Table.__init__", "table.Table._read_block", "table.Table._check_handle")
GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_HANDLES = (0, 1, 50, 200, 2**31, 2**63 - 1, 2**64 - 1)
_PARTS = (extents((0, 3), None), extents((3, 1), None))


def _strings(*words: bytes) -> tuple[bytes, int]:
    """A tensor of strings as bundles store it, and its checksum."""
    plain = b"".join(len(word).to_bytes(4, "little") for word in words)
    rest = masked(plain_crc32c(plain)).to_bytes(4, "little") + b"".join(words)
    stored = b"".join(varint(len(word)) for word in words) + rest
    return stored, masked(plain_crc32c(plain + rest))


def _attribute(full_name: bytes, key: bytes) -> bytes:
    names = message(1, b"VARIABLE_VALUE") + message(2, full_name) + message(3, key)
    return message(1, message(2, names))


def bundle_files(graph: bytes = b"") -> tuple[Entries, bytes]:
    """The entries and the data of a bundle with every kind of tensor."""
    names = graph or _attribute(b"dense/kernel", b"m/k" + _VALUE.encode()) * 3
    words, words_checksum = _strings(b"one", b"", b"three" * 30)
    graph, graph_checksum = _strings(names)
    data = np.arange(40, dtype=np.float32).tobytes() + b"\0\1\1" + words + graph + b"\x07\xff"
    described = [
        (b"m/k" + _VALUE.encode(), 1, [2, 4], 0, 32),
        (b"m/i" + _VALUE.encode(), 9, [], 32, 8),
        (slice_key("rows", ((0, 3), (0, -1))), 1, [3, 2], 40, 24),
        (slice_key("rows", ((3, 1), (0, -1))), 1, [1, 2], 64, 8),
        (b"flags", 10, [3], 160, 3),
        (b"words", 7, [3], 163, len(words)),
        (GRAPH, 7, [], 163 + len(words), len(graph)),
        (b"nibbles", 29, [2], 163 + len(words) + len(graph), 2),
    ]
    entries = [bundle_header(), (b"rows", bundle_entry(1, [4, 2], 0, 0, 0, 0, *_PARTS))]
    for key, dtype, sizes, offset, size in described:
        checksum = masked(plain_crc32c(data[offset : offset + size]))
        checksum = {b"words": words_checksum, GRAPH: graph_checksum}.get(key, checksum)
        entry = bundle_entry(dtype, sizes, offset, size)
        # The last field that is written counts.
        entries.append((key, entry + fixed32(6, checksum)))
    return entries, data


def damaged_table(entries: Entries, chance: random.Random) -> bytes:
    """A change of a value, a key, a block or the index; every checksum is right."""
    entries = list(entries)
    where = chance.random()
    if where < 0.65:
        at = chance.randrange(len(entries))
        key, value = entries[at]
        damage = damaged_message if chance.random() < 0.8 else damaged_bytes
        entries[at] = (key, damage(value, chance))
    elif where < 0.75:
        at = chance.randrange(len(entries))
        entries[at] = (damaged_bytes(entries[at][0], chance), entries[at][1])
    table = table_of(entries, chance.choice([1, 3, 1000]))
    if where >= 0.75:
        at = chance.randrange(len(table.blocks))
        contents, kind = table.blocks[at]
        if where < 0.9:
            table.blocks[at] = (damaged_bytes(contents, chance), chance.choice([kind, kind, 1]))
        elif where < 0.97:
            index = [
                (separator, varint(chance.randrange(300)) + varint(chance.randrange(300)))
                for separator in table.separators
            ]
            table.index_block = damaged_bytes(block(index, interval=1), chance)
        else:
            table.handles[at] = (chance.choice(_HANDLES), chance.choice(_HANDLES))
    return table.build()


def bundle(seeds: Path) -> Target:
    entries, data = bundle_files()

    def make(chance: random.Random) -> dict[str, bytes]:
        if chance.random() < 0.2:
            return _bundle_of(table_of(entries).build(), damaged_bytes(data, chance))
        return _bundle_of(damaged_table(entries, chance), data)

    def read(path: Path) -> None:
        read_all(open_tf_bundle(path))
        verify_bundle(path)

    return Target(
        "tf bundle",
        make,
        lambda: [_bundle_of(table_of(entries).build(), data)],
        read,
        _DOORS,
    )


def _bundle_of(index: bytes, data: bytes, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}x.index": index, f"{folder}x.data-00000-of-00001": data}


def v1_entries() -> Entries:
    """The entries of a V1 checkpoint with every kind of tensor."""
    whole = extents(None)
    floats = message(5, np.array([1, 2], "<f4").tobytes())
    long = message(10, varint(5) + varint(-1) + varint(1 << 40))

    def key(name: str) -> bytes:
        return slice_key(name, ((0, -1),))

    return [
        v1_list(
            v1_tensor("w", 1, [2], whole),
            v1_tensor("n", 9, [3], whole),
            v1_tensor("s", 7, [2], whole),
            v1_tensor("h", 19, [2], whole),
            v1_tensor("rows", 1, [4, 1], *_PARTS),
        ),
        (key("w"), v1_slice("w", whole, floats)),
        (key("n"), v1_slice("n", whole, long)),
        (key("s"), v1_slice("s", whole, message(8, b"a") + message(8, b""))),
        (key("h"), v1_slice("h", whole, message(13, varint(9) + varint(60_000)))),
        (
            slice_key("rows", ((0, 3), (0, -1))),
            v1_slice("rows", _PARTS[0], message(5, b"abcd" * 3)),
        ),
        (slice_key("rows", ((3, 1), (0, -1))), v1_slice("rows", _PARTS[1], message(5, b"abcd"))),
    ]


def v1(seeds: Path) -> Target:
    entries = v1_entries()
    return Target(
        "tf v1",
        lambda chance: {"x.ckpt": damaged_table(entries, chance)},
        lambda: [{"x.ckpt": table_of(entries).build()}],
        reading(open_tf_v1),
        _DOORS,
    )


def _saved_graph() -> bytes:
    """A `saved_model.pb`: a root with two variables, one below another object."""

    def child(node: int, name: bytes) -> bytes:
        return message(1, number(1, node), message(2, name))

    def variable(name: bytes) -> bytes:
        return message(7, number(1, 1), message(6, name))

    nodes = [
        child(1, b"m") + child(0, b"self"),
        child(2, b"k") + child(3, b"i") + child(0, b"up"),
        variable(b"dense/kernel:0"),
        variable(b"step"),
    ]
    graph = message(7, *(message(1, node) for node in nodes))
    return number(1, 1) + message(2, message(1, message(4, b"serve")) + graph)


def saved_model(seeds: Path) -> Target:
    """A TF2 SavedModel: its object graph, in both of the places where one can be."""
    # A graph without names, so that those of `saved_model.pb` are looked for.
    entries, data = bundle_files(message(1, b""))
    index, graph = table_of(entries).build(), _saved_graph()
    honest = {"saved_model.pb": graph, "assets/vocab.txt": b"a\n"}

    def folder(index: bytes, data: bytes) -> dict[str, bytes]:
        files = _bundle_of(index, data)
        return {f"variables/variables{name[1:]}": content for name, content in files.items()}

    def make(chance: random.Random) -> dict[str, bytes]:
        kind = chance.random()
        files = {**honest, **folder(index, data)}
        if kind < 0.5:
            files["saved_model.pb"] = damaged_message(graph, chance)
        elif kind < 0.6:
            files["saved_model.pb"] = damaged_bytes(graph, chance)
        elif kind < 0.8:
            other = damaged_message(_attribute(b"dense/kernel", b"m/k" + _VALUE.encode()), chance)
            changed, stored = bundle_files(other or b"\0")
            files = {**honest, **folder(table_of(changed).build(), stored)}
        else:
            files = {**honest, **folder(damaged_table(entries, chance), data)}
        return files

    return Target(
        "saved model",
        make,
        lambda: [{**honest, **folder(index, data)}],
        lambda path: read_all(open_saved_model(path.parent)),
        _DOORS,
    )
