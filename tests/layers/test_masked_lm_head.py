"""MaskedLMHead: read from every dialect that has it, with the logits of the original programs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.layers import (
    AlbertEncoder,
    BertEncoder,
    DistilBertEncoder,
    ElectraEncoder,
    RobertaEncoder,
)
from keras_pretrained.layers.transformers.masked_lm_head import masked_lm_head
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.relatives import GOLDENS
from tests.layers.toys import make_bert
from tests.parity.recording import Record


@dataclass(frozen=True)
class Stored:
    """A checkpoint with a head.

    Args:
        row: of the parity table.
        layer: the encoder's class.
        folder: of the checkpoint.
        expected: the file of the numbers; by default that of the folder.
        dialect: where it has to be named.
    """

    row: str
    layer: Any
    folder: str
    expected: str = ""
    dialect: str = "auto"


STORED = (
    Stored("bert/hf-safetensors-erf", BertEncoder, "bert_hf/erf"),
    Stored("bert/hf-bin-gamma-beta", BertEncoder, "bert_hf/legacy_bin", "bert_hf/erf/expected"),
    Stored("bert/google-v2", BertEncoder, "bert_google"),
    Stored(
        "bert/tf-models-pretrainer-checkpoint",
        BertEncoder,
        "bert_tf_models/pretrainer_checkpoint",
        "bert_tf_models/expected",
    ),
    Stored("roberta/hf-safetensors", RobertaEncoder, "roberta/hf"),
    Stored("roberta/fairseq-2019", RobertaEncoder, "roberta/fairseq", "roberta/hf/expected"),
    Stored("roberta/fairseq-2021", RobertaEncoder, "roberta/fairseq_split", "roberta/hf/expected"),
    Stored("distilbert/masked_lm", DistilBertEncoder, "distilbert/masked_lm"),
    Stored("albert/hf-pretraining", AlbertEncoder, "albert_hf/pretraining"),
    Stored("albert/google", AlbertEncoder, "albert_google"),
    Stored("electra/hf-generator", ElectraEncoder, "electra_hf/generator"),
    Stored(
        "electra/google-generator",
        ElectraEncoder,
        "electra_google",
        "electra_google/expected_generator",
        "google-generator",
    ),
)


@pytest.mark.parity
@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.row)
def test_logits_equal_the_original(stored: Stored, parity: Record) -> None:
    encoder = stored.layer(GOLDENS / stored.folder, dialect=stored.dialect)
    head, report = masked_lm_head(encoder)
    assert report is not None
    assert not report.new
    path = GOLDENS / f"{stored.expected or f'{stored.folder}/expected'}.npz"
    golden = {
        name.removeprefix("short_"): array
        for name, array in np.load(path).items()
        if name.startswith("short_")
    }
    inputs = {name: golden[name] for name in encoder.input_names}
    logits = to_numpy(head(encoder(inputs)))
    measured = parity(stored.row)
    if "mlm_logits" in golden:
        measured.close("masked language model", logits, golden["mlm_logits"])
    else:
        logits = logits.astype("float64")
        surprise = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        measured.close("masked language model", logits - surprise, golden["mlm_log_probs"])


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.row)
def test_every_tensor_is_accounted_for_once(stored: Stored) -> None:
    encoder = stored.layer(GOLDENS / stored.folder, dialect=stored.dialect)
    head, report = masked_lm_head(encoder)
    assert report is not None
    used = [name for names in report.loaded.values() for name in names]
    used = sorted({*used})
    assert sorted([*used, *report.ignored]) == sorted(open_checkpoint(report.path))
    own = [path for path in report.loaded if path.startswith("masked_lm_head/")]
    assert len(own) == len(head.weights) == 5
    # The account of the encoder alone stays what it was.
    assert not any(path.startswith("masked_lm_head/") for path in encoder.load_report.loaded)


def test_a_new_head_says_so() -> None:
    encoder = BertEncoder(GOLDENS / "bert_hf" / "tanh")
    head, report = masked_lm_head(encoder)
    assert report is not None
    assert report.new == ("masked_lm_head/dense", "masked_lm_head/norm", "masked_lm_head/bias")
    assert "3 new, with random values: masked_lm_head/dense" in str(report)
    assert to_numpy(head(encoder(np.array([[2, 5, 3]], "int32")))).shape == (1, 3, 61)
    assert masked_lm_head(make_bert())[1] is None
    # A discriminator's checkpoint holds a head of the generator beside it, which is not its own.
    _, report = masked_lm_head(ElectraEncoder(GOLDENS / "electra_google"))
    assert report is not None
    assert report.new


def copied(folder: Path, **changes: Any) -> Path:
    """The published folder `bert_hf/erf` with other tensors; None removes one."""
    shutil.copytree(GOLDENS / "bert_hf" / "erf", folder)
    tensors = load_file(folder / "model.safetensors") | changes
    kept = {name: value for name, value in tensors.items() if value is not None}
    save_file(kept, folder / "model.safetensors")
    return folder


def test_a_part_of_a_head_is_an_error(tmp_path: Path) -> None:
    changes = {"cls.predictions.transform.dense.weight": None}
    encoder = BertEncoder(copied(tmp_path / "part", **changes))
    with pytest.raises(WeightsError, match=r"Variables without a tensor \(1\):\n  dense/kernel"):
        masked_lm_head(encoder)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_copies_must_be_equal(name: str, tmp_path: Path) -> None:
    tensors = load_file(GOLDENS / "bert_hf" / "erf" / "model.safetensors")
    original = {
        "weight": "bert.embeddings.word_embeddings.weight",
        "bias": "cls.predictions.bias",
    }[name]
    copy = f"cls.predictions.decoder.{name}"
    same = BertEncoder(copied(tmp_path / "same", **{copy: tensors[original].copy()}))
    _, report = masked_lm_head(same)
    assert report is not None
    assert report.ignored[copy] == f"a copy of {original}"
    other = BertEncoder(copied(tmp_path / "other", **{copy: tensors[original] + 1}))
    with pytest.raises(WeightsError, match=rf"{copy} is not equal to {original}"):
        masked_lm_head(other)
