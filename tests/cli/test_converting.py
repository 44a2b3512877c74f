"""`convert`: through the layer into another dialect, checked by foreign readers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.layers import BertEncoder
from tests.cli.conftest import Run

GOLDENS = Path(__file__).parents[1] / "goldens"
GOOGLE, HF = GOLDENS / "bert_google", GOLDENS / "bert_hf" / "erf"


def of_tensorflow(prefix: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def same(found: dict[str, np.ndarray], original: dict[str, np.ndarray]) -> None:
    assert found
    for name, values in found.items():
        assert values.dtype == original[name].dtype
        np.testing.assert_array_equal(values, original[name], err_msg=name)


def test_google_to_hf_and_back_in_processes_of_their_own(tmp_path: Path) -> None:
    def convert(*words: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "keras_pretrained", "convert", *map(str, words)],
            capture_output=True,
            text=True,
        )

    done = convert(GOOGLE, tmp_path / "hf", "--to", "hf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "55 variables loaded, 16 tensors ignored" in done.stdout
    assert "8 ignored, an optimizer slot: bert/embeddings/word_embeddings/adam_m" in done.stdout
    assert "nothing is missing" in done.stdout
    size = (tmp_path / "hf" / "model.safetensors").stat().st_size
    assert f"model.safetensors  {size:,} bytes" in done.stdout
    assert "55 tensors are 55 variables, bit for bit" in done.stdout
    done = convert(tmp_path / "hf", tmp_path / "again.ckpt", "--to", "google")
    assert (done.returncode, done.stderr) == (0, "")
    found = of_tensorflow(tmp_path / "again.ckpt")
    assert len(found) == 55
    same(found, of_tensorflow(GOOGLE / "bert_model.ckpt"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "again.ckpt.data-00000-of-00001",
        "again.ckpt.index",
        "hf",
    ]


def test_hf_to_google_and_back_keeps_every_bit_of_the_encoder(run: Run, tmp_path: Path) -> None:
    assert run("convert", HF, tmp_path / "google", "--to", "google").code == 0
    target = tmp_path / "again.safetensors"
    assert run("convert", tmp_path / "google", target, "--to", "hf").code == 0
    original = load_file(HF / "model.safetensors")
    found = load_file(target)
    assert set(found) == {
        name.removeprefix("bert.") for name in original if name.startswith("bert.")
    }
    same({f"bert.{name}": values for name, values in found.items()}, original)
    # The exact GELU of this source has no name in Google's own program.
    config = json.loads((tmp_path / "google" / "bert_config.json").read_text())
    assert config["hidden_act"] == "gelu_exact"
    assert BertEncoder(tmp_path / "google").architecture == BertEncoder(HF).architecture


@pytest.mark.parametrize("dialect", ["tf-models", "tf-models-objects"])
def test_the_dialects_of_the_model_garden(dialect: str, run: Run, tmp_path: Path) -> None:
    done = run("convert", GOOGLE, tmp_path / "garden", "--to", dialect)
    assert (done.code, done.err) == (0, "")
    assert f"(tf-bundle, dialect '{dialect}')" in done.out
    done = run("inspect", tmp_path / "garden", "--json")
    assert json.loads(done.out)["fits"][0]["dialect"] == dialect


def test_to_fairseq_and_back(run: Run, tmp_path: Path) -> None:
    source = HF.parents[1] / "roberta" / "hf"
    done = run("convert", source, tmp_path / "model.pt", "--to", "fairseq")
    assert (done.code, done.err) == (0, "")
    assert "(torch, dialect 'fairseq')" in done.out
    target = tmp_path / "again.safetensors"
    assert run("convert", tmp_path / "model.pt", target, "--to", "hf").code == 0
    same(
        {f"roberta.{name}": values for name, values in load_file(target).items()},
        load_file(source / "model.safetensors"),
    )
    done = run("convert", source, tmp_path / "model.ckpt", "--to", "fairseq")
    assert "is written as torch: expected a TARGET like 'model.pt'" in done.err


def test_half_precision_is_said_to_become_float32(run: Run, tmp_path: Path) -> None:
    shutil.copytree(HF, tmp_path / "half")
    tensors = {name: a.astype("float16") for name, a in load_file(HF / "model.safetensors").items()}
    save_file(tensors, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    done = run("convert", tmp_path / "half", tmp_path / "out", "--to", "hf")
    assert done.code == 0
    assert "as float32; the source holds float16" in done.out


def test_an_unknown_dialect_names_the_known_ones(run: Run, tmp_path: Path) -> None:
    done = run("convert", GOOGLE, tmp_path / "out", "--to", "torch")
    assert (done.code, done.out) == (1, "")
    assert "Family 'bert' has no dialect 'torch' (--to). Expected one of: hf, google" in done.err
    done = run("convert", GOOGLE, tmp_path / "out", "--to", "hf", "--from", "torch")
    assert "has no dialect 'torch' (--from). Expected one of: auto, hf" in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_wrong_dialect_of_a_source_lists_what_does_not_fit(run: Run, tmp_path: Path) -> None:
    done = run("convert", GOOGLE, tmp_path / "out", "--to", "hf", "--from", "hf")
    assert (done.code, done.out) == (1, "")
    assert "Variables without a tensor" in done.err
    assert "Tensors that nothing uses" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "dialect", "advice"),
    [("x.bin", "hf", "x.safetensors"), ("x.safetensors", "google", "x.ckpt")],
)
def test_a_target_with_the_suffix_of_another_container(
    name: str, dialect: str, advice: str, run: Run, tmp_path: Path
) -> None:
    done = run("convert", GOOGLE, tmp_path / name, "--to", dialect)
    assert (done.code, done.out) == (1, "")
    assert f"expected a TARGET like '{advice}'" in done.err


def test_a_target_that_exists_is_not_replaced(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "x.safetensors"
    target.write_bytes(b"precious")
    done = run("convert", GOOGLE, target, "--to", "hf")
    assert (done.code, done.out) == (1, "")
    assert "exists already" in done.err
    assert "--force" in done.err
    assert target.read_bytes() == b"precious"
    assert run("convert", GOOGLE, target, "--to", "hf", "--force").code == 0
    assert len(open_checkpoint(target)) == 55
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("target", ["out", "out.safetensors"])
def test_what_does_not_read_back_equal_is_removed(
    target: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_pretrained.layers import base

    def damaged(path: Path, tensors: dict[str, np.ndarray], container: str) -> Path:
        changed = dict(tensors)
        changed["pooler.dense.bias"] = changed["pooler.dense.bias"] + np.float32(1e-7)
        return written(path, changed, container)

    written = base.write_checkpoint
    monkeypatch.setattr(base, "write_checkpoint", damaged)
    done = run("convert", GOOGLE, tmp_path / target, "--to", "hf")
    assert done.code == 1
    assert "does not read back equal" in done.err
    assert "Different variables (1): pooler/bias" in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_tensorflow_while_writing_is_a_message(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**arguments: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "no space left")

    monkeypatch.setattr(tf.raw_ops, "SaveV2", full)
    done = run("convert", HF, tmp_path / "out", "--to", "google")
    assert done.code == 1
    assert "The checkpoint cannot be written: no space left" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_with_nonsense_is_a_message(run: Run, tmp_path: Path) -> None:
    shutil.copytree(HF, tmp_path / "odd")
    config = json.loads((HF / "config.json").read_text())
    (tmp_path / "odd" / "config.json").write_text(json.dumps({**config, "hidden_size": "wide"}))
    done = run("convert", tmp_path / "odd", tmp_path / "out", "--to", "google")
    assert (done.code, done.out) == (1, "")
    assert "hidden_size" in done.err
    assert "Traceback" not in done.err


def test_a_source_that_tells_no_family_asks_for_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros(3, "float32")}, path)
    done = run("convert", path, tmp_path / "out", "--to", "hf")
    assert done.code == 1
    assert "its tensor names fit no known family. Name it with --family, one of: bert" in done.err


def test_the_family_is_told_by_the_names_where_no_configuration_does(
    run: Run, tmp_path: Path
) -> None:
    # Google's bert_config.json names no model type; TF-Hub has no configuration at all.
    source = GOLDENS / "bert_tf_models" / "saved_model"
    assert run("convert", source, tmp_path / "out", "--to", "hf").code == 0
    assert run("convert", source, tmp_path / "b/", "--to", "hf", "--family", "bart").code == 1


def test_a_preset_without_files_says_what_to_place(run: Run, tmp_path: Path) -> None:
    done = run("convert", "bert-tiny", tmp_path / "out", "--to", "hf")
    assert (done.code, done.out) == (1, "")
    assert "cannot be found on this machine" in done.err
