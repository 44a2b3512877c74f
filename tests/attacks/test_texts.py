"""JSON that is too deep, too large or twofold, and vocabularies that are none."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint
from keras_pretrained.checkpoints.json_text import parse_json_object
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.presets import SourceError, read_json
from keras_pretrained.tokenizers.vocabulary import read_vocabulary
from tests.attacks.attack import little_memory, refused

DEEP = 200_000

JSONS = {
    "nothing": b"",
    "spaces": b" " * 1000,
    "lists without end": b"[" * DEEP,
    "lists in lists": b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "an integer of many digits": b'{"a":' + b"9" * 100_000 + b"}",
    "not UTF-8": b'{"a": "\xff"}',
    "two values": b"{} {}",
    "a comment": b"{} // text",
    "a text": b'"a"',
    "a number": b"1",
    "a zero byte": b'{"a": "\0"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
}
# Harmless in a configuration, but not two of the same in what names tensors.
STRICT = {
    "NaN": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "a name twice": b'{"a": 1, "a": 2}',
    "a name twice, deep": b'{"a": {"b": [{"c": 1, "c": 2}]}}',
}


@pytest.mark.parametrize("name", sorted(JSONS))
def test_configurations(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(JSONS[name])
    with (
        little_memory(4_000_000 + 40 * len(JSONS[name])),
        pytest.raises(SourceError, match=r"config\.json"),
    ):
        read_json(path)


@pytest.mark.parametrize("name", sorted({**JSONS, **STRICT}))
def test_json_that_names_tensors(name: str) -> None:
    with pytest.raises(CheckpointError, match="a test") as info:
        parse_json_object({**JSONS, **STRICT}[name], "a test")
    assert len(str(info.value)) < 500


@pytest.mark.parametrize("name", sorted({**JSONS, **STRICT}))
def test_the_configuration_of_a_keras_file(name: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", {**JSONS, **STRICT}[name])
        archive.writestr("model.weights.h5", b"")
    (tmp_path / "x.keras").write_bytes(stream.getvalue())
    refused(tmp_path / "x.keras")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", 10**9),
        ("layers", -1),
        ("layers", "12"),
        ("layers", True),
        ("layers", [12]),
        ("layers", {}),
        ("width", 2**40),
        ("width", 10**4000),
        ("width", float("inf")),
        ("width", float("nan")),
        ("hidden_act", ["gelu"]),
        ("hidden_act", {}),
        ("hidden_act", "os.system"),
        ("model_type", ["toy"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_sizes_that_no_network_has(key: str, value: Any) -> None:
    """A thousand million layers would be made before the first tensor is looked at."""
    sizes = {"layers": "num_layers", "width": "hidden_size"}
    config = ConfigFormat("toy", sizes, ("layers", "width"))
    honest = {"layers": 2, "width": 8}
    assert config.read(honest, "config.json", "hf")["num_layers"] == 2
    with pytest.raises(ValueError, match=r"config\.json") as info:
        config.read({**honest, key: value}, "config.json", "hf")
    assert len(str(info.value)) < 500


def test_a_configuration_of_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        file.truncate(2 << 30)
    with little_memory(10_000_000), pytest.raises(SourceError, match="larger than"):
        read_json(path)


def test_an_index_of_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    with path.open("wb") as file:
        file.write(b'{"weight_map": {')
        file.truncate(2 << 30)
    with little_memory(1_000_000), pytest.raises(CheckpointError, match="at most"):
        open_checkpoint(path)


REQUIRED = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n"


def test_a_vocabulary_of_one_line_of_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    with path.open("wb") as file:
        file.write(REQUIRED)
        file.truncate(2 << 30)
    with little_memory(100_000_000), pytest.raises(ValueError, match="larger than 64 MiB"):
        read_vocabulary(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n" * 1_000_000, REQUIRED + b"x" * 5_000_000, REQUIRED + b"\xff", b"[PAD]\0[UNK]\n"],
    ids=["nothing", "empty lines", "a long line", "not UTF-8", "zeros"],
)
def test_vocabularies_that_are_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    start = time.monotonic()
    with little_memory(4_000_000 + 40 * len(content)), pytest.raises(ValueError) as info:  # noqa: PT011
        read_vocabulary(path)
    assert "vocab.txt" in str(info.value)
    assert len(str(info.value)) < 1000
    assert time.monotonic() - start < 10
