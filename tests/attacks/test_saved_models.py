"""Object graphs and messages of SavedModels that take time or memory out of proportion."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from keras_pretrained.checkpoints import protobuf
from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.saved_model import open_saved_model
from tests.attacks.attack import little_memory, read_all, refused
from tests.checkpoints.tf_files import (
    bundle_entry,
    bundle_header,
    message,
    number,
    table_of,
)

SUFFIX = b"/.ATTRIBUTES/VARIABLE_VALUE"


def saved_model(folder: Path, graph: bytes, keys: list[bytes]) -> Path:
    (folder / "variables").mkdir()
    entries = [(key + SUFFIX, bundle_entry(offset=8 * n)) for n, key in enumerate(keys)]
    index = table_of([bundle_header(), *entries]).build()
    (folder / "variables" / "variables.index").write_bytes(index)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(bytes(8 * len(keys)))
    (folder / "saved_model.pb").write_bytes(graph)
    return folder


def refused_graph(folder: Path, problem: str) -> None:
    with pytest.raises(CheckpointError, match=rf"saved_model\.pb: .*{problem}"):
        open_saved_model(folder)


def graph_of(*nodes: bytes) -> bytes:
    return message(2, message(7, *(message(1, node) for node in nodes)))


def child(node: int, name: bytes) -> bytes:
    return message(1, number(1, node), message(2, name))


def test_many_keys_that_lead_to_one_large_node(tmp_path: Path) -> None:
    """Each key would read the node again: 2,000 times 100,000 fields."""
    keys = [b"v/%d" % n for n in range(2000)]
    node = b"".join(child(2, b"%d" % n) for n in range(2000))
    large = number(9, 1) * 100_000 + message(7, message(6, b"kernel"))
    folder = saved_model(tmp_path, graph_of(child(1, b"v"), node, large), keys)
    start = time.process_time()
    checkpoint = open_saved_model(folder)
    assert time.process_time() - start < 10
    # The name is that of one content, borne by all of its copies.
    assert "kernel" in checkpoint


@pytest.mark.parametrize("levels", [100, 5000])
def test_messages_in_messages(levels: int, tmp_path: Path) -> None:
    """Only the messages that are asked for are read, so depth is no stack."""
    nested = b""
    for _ in range(levels):
        nested = message(1, nested)
    folder = saved_model(tmp_path, message(2, message(7, nested)), [b"v"])
    refused_graph(folder, "Field 1 is stored as")
    (folder / "saved_model.pb").write_bytes(message(3, nested))
    read_all(open_saved_model(folder))


def test_a_graph_of_many_small_messages(tmp_path: Path) -> None:
    graph = message(2, message(7, *[b"\x0a\x00"] * 300_000))
    folder = saved_model(tmp_path, graph, [b"v"])
    with little_memory(100_000_000):
        refused_graph(folder, "more than 262144 fields")


def test_more_skipped_fields_than_any_message_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "_MAX_FIELDS", 1000)
    assert len(list(protobuf.read_fields(memoryview(number(9, 1) * 1000)))) == 1000
    with pytest.raises(Malformed, match="more than 1000 fields"):
        protobuf.Message(memoryview(number(9, 1) * 1001), {1: protobuf.BYTES})


def test_numbers_of_many_digits_in_a_path(tmp_path: Path) -> None:
    """Python refuses to read a number of more than 4,300 digits."""
    keys = [b"9" * 5000, b"9" * 5001, "٣".encode()]
    nodes = [child(1, key) for key in keys]
    variable = message(7, message(6, b"kernel"))
    folder = saved_model(tmp_path, graph_of(b"".join(nodes), variable), keys)
    read_all(open_saved_model(folder))


def test_a_path_through_a_circle(tmp_path: Path) -> None:
    keys = [b"/".join([b"v"] * 2000)]
    folder = saved_model(tmp_path, graph_of(child(0, b"v")), keys)
    assert len(open_saved_model(folder)) == 1


def test_a_folder_that_is_named_like_the_file(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").mkdir()
    with pytest.raises(CheckpointError):
        open_saved_model(tmp_path)
    folder = tmp_path / "other"
    folder.mkdir()
    saved_model(folder, b"", [b"v"])
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").mkdir()
    refused(folder, "saved_model.pb", open_file=open_saved_model)
