"""`inspect`: what a file holds, with nothing in it run and nothing in it obeyed."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import write_safetensors
from keras_pretrained.cli.bounded import bounded
from tests.cli.conftest import Run

GOLDENS = Path(__file__).parents[1] / "goldens"


def test_a_google_checkpoint(run: Run) -> None:
    done = run("inspect", str(GOLDENS / "bert_google"))
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0].endswith("bert_model.ckpt")
    assert "container TensorFlow checkpoint (V2)" in lines
    assert "tensors 71" in lines
    assert "optimizer 8 slots" in lines
    assert "types 70 float32, 1 int64" in lines
    assert "bert/embeddings/position_embeddings [14, 16] float32" in lines
    assert "... and 61 more (--tensors prints all)" in lines
    assert lines[-1] == (
        "family 'bert', dialect 'google': 55 tensors are its weights, 16 are left out by name, "
        "0 unknown"
    )


@pytest.mark.parametrize(
    ("source", "container", "dialect"),
    [
        ("bert_google/v1", "TensorFlow checkpoint (V1)", "google"),
        ("bert_hf/erf", "safetensors", "hf"),
        ("bert_hf/legacy_bin/pytorch_model.bin", "PyTorch (zip)", "hf"),
        ("bert_hf/legacy_stream_bin", "PyTorch (stream, before torch 1.6)", "hf"),
        ("bert_tf_models/saved_model", "TensorFlow SavedModel", "tf-models"),
        ("bert_tf_models/encoder_checkpoint", "TensorFlow checkpoint (V2)", "tf-models-objects"),
    ],
)
def test_containers_and_dialects(source: str, container: str, dialect: str, run: Run) -> None:
    done = run("inspect", str(GOLDENS / source), "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["container"] == container
    assert found["tensors"] == len(found["arrays"])
    (fit,) = [fit for fit in found["fits"] if fit["family"] == "bert"]
    assert fit["dialect"] == dialect
    assert fit["known"] + fit["ignored"] + fit["unknown"] == found["tensors"]


def small(path: Path, names: list[str], metadata: dict[str, str] | None = None) -> Path:
    tensors = {name: np.zeros((2, 3), "float32") for name in names}
    return write_safetensors(path / "small.safetensors", tensors, metadata)


def test_json_has_every_tensor_and_the_metadata(run: Run, tmp_path: Path) -> None:
    path = small(tmp_path, ["a", "b/adam_m"], {"format": "pt"})
    found = json.loads(run("inspect", str(path), "--json", "--no-family").out)
    assert found == {
        "path": str(path),
        "format": "safetensors",
        "container": "safetensors",
        "tensors": 2,
        "optimizer_slots": 1,
        "parameters": 6,
        "bytes": 48,
        "dtypes": {"float32": 2},
        "metadata": {"format": "pt"},
        "fits": None,
        "arrays": [
            {"name": "a", "shape": [2, 3], "dtype": "float32"},
            {"name": "b/adam_m", "shape": [2, 3], "dtype": "float32"},
        ],
    }


def test_tensors_and_grep(run: Run, tmp_path: Path) -> None:
    path = small(tmp_path, [f"layer_{index}/kernel" for index in range(20)])
    assert "layer_9/kernel" not in run("inspect", str(path), "--no-family").out
    assert "layer_9/kernel   [2, 3]  float32" in run("inspect", str(path), "--tensors").out
    done = run("inspect", str(path), "--grep", r"_1\d/", "--no-family")
    assert done.out.count("kernel") == 10
    assert "10 of 20 names match" in done.out
    only = json.loads(run("inspect", str(path), "--grep", "_7/", "--json", "--no-family").out)
    assert [array["name"] for array in only["arrays"]] == ["layer_7/kernel"]


def test_names_of_no_family_are_said_to_be_so(run: Run, tmp_path: Path) -> None:
    # One name in common does not make a network.
    path = small(tmp_path, ["pooler.dense.bias", "x", "y"])
    assert "family: none that this version knows" in run("inspect", str(path)).out
    assert json.loads(run("inspect", str(path), "--json").out)["fits"] == []


def test_control_characters_in_names_and_metadata_are_escaped(run: Run, tmp_path: Path) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\r\nkeras-pretrained: \u202eok\u2028\x7f\x9b31m"
    path = small(tmp_path, [hostile, "a"], {hostile: hostile})
    done = run("inspect", str(path), "--tensors", "--no-family")
    assert done.code == 0
    assert all(line.isprintable() for line in done.out.split("\n"))
    escaped = r"\x1b]0;title\x07\x1b[2J\r\nkeras-pretrained: \u202eok\u2028\x7f\x9b31m"
    assert f"{escaped}  [2, 3]" in done.out
    done = run("inspect", str(path), "--json", "--no-family")
    assert done.out.isascii()
    assert all(line.isprintable() for line in done.out.split("\n"))
    found = json.loads(done.out)
    assert [array["name"] for array in found["arrays"]] == [hostile, "a"]
    assert found["metadata"] == {hostile: hostile}


def test_an_endless_name_does_not_pad_the_others(run: Run, tmp_path: Path) -> None:
    path = small(tmp_path, ["a", "b" * 50_000])
    done = run("inspect", str(path), "--tensors", "--no-family")
    assert len(done.out) < 60_000


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('the pickle was run')",))


def test_a_pickle_is_an_error_and_is_not_run(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(Bomb()))
    done = run("inspect", str(path))
    assert (done.code, done.out) == (1, "")
    assert str(path) in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\x00" * 64, b"PK\x03\x04 no zip"])
def test_files_of_other_kinds_are_errors(content: bytes, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    done = run("inspect", str(path))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("keras-pretrained: ")
    assert "Traceback" not in done.err


def test_missing_files_and_presets(run: Run, tmp_path: Path) -> None:
    small(tmp_path, ["a"])
    done = run("inspect", str(tmp_path / "smal.safetensors"))
    assert done.code == 1
    assert "small.safetensors" in done.err
    done = run("inspect", "bert-bse")
    assert done.code == 1
    assert "Did you mean 'bert-base'" in done.err


def test_metadata_that_holds_itself_is_cut() -> None:
    doubled: list[object] = ["x" * 50]
    for _ in range(60):
        doubled = [doubled, doubled]
    assert "... (cut)" in json.dumps(bounded({"a": doubled}))
    wide: list[object] = ["y"]
    for _ in range(9):
        wide = [wide] * 100
    assert len(json.dumps(bounded(wide))) < 3_000_000
    long = bounded(["z" * 600_000] * 10)
    assert len(json.dumps(long)) < 1_100_000
    assert sys.getsizeof(long) < 10_000


def test_metadata_of_every_type_is_json() -> None:
    value = {
        "none": None,
        "flag": True,
        "number": 3,
        "huge": 10**400,
        "real": 0.5,
        "nan": float("nan"),
        "bytes": b"\x00\xff",
        "set": {1},
        "tuple": (1, 2),
        3: "key",
    }
    found = json.loads(json.dumps(bounded(value), allow_nan=False))
    assert found["flag"] is True
    assert found["huge"].startswith("an integer of")
    assert found["nan"] == "nan"
    assert found["tuple"] == [1, 2]
    assert found["3"] == "key"
