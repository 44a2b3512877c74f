"""DistilBertEncoder: what it alone has, and its numbers against transformers'."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_pretrained.layers import DistilBertEncoder
from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.layers.layer_test import to_numpy
from tests.layers.relatives import GOLDENS
from tests.parity.recording import Record

FOLDER = GOLDENS / "distilbert"


@pytest.mark.parity
@pytest.mark.parametrize("name", ["masked_lm", "sinusoidal"])
def test_every_depth_equals_the_original(name: str, parity: Record) -> None:
    encoder, measured = DistilBertEncoder(FOLDER / name), parity(f"distilbert/{name}")
    golden = dict(np.load(FOLDER / name / "expected.npz"))
    for batch in ("long", "short"):
        inputs = {key: golden[f"{batch}_{key}"] for key in ("token_ids", "padding_mask")}
        found = to_numpy(encoder.features(inputs))
        for ours, original in zip(
            found["hidden_states"], golden[f"{batch}_hidden_states"], strict=True
        ):
            measured.close("hidden states", ours, original)
        for index, original in zip((0, -1), golden[f"{batch}_attentions"], strict=True):
            measured.close("attentions", found["attentions"][index], original)


def test_the_heads_are_left_out_by_name() -> None:
    report = DistilBertEncoder(FOLDER / "masked_lm").load_report
    assert report is not None
    assert set(report.ignored.values()) == {"a pre-training head"}
    assert {name.partition(".")[0] for name in report.ignored} == {
        "vocab_transform",
        "vocab_layer_norm",
        "vocab_projector",
    }


def test_the_configuration_in_both_directions() -> None:
    for name, activation in (("masked_lm", "gelu"), ("sinusoidal", "relu")):
        encoder = DistilBertEncoder(FOLDER / name)
        assert encoder.architecture.activation == activation
        assert (encoder.architecture.num_segments, encoder.architecture.pooler) == (0, False)
        assert encoder.architecture.layer_norm_epsilon == 1e-12
        written = json.loads(encoder.published_files("hf")["config.json"])
        published = json.loads((FOLDER / name / "config.json").read_text(encoding="utf-8"))
        assert written.items() <= published.items()


def test_the_tokenizer_has_no_segments() -> None:
    encoder = DistilBertEncoder(FOLDER / "masked_lm", max_length=8, lowercase=False)
    assert not encoder.tokenizer.lowercase
    assert set(encoder.tokenizer(("a b", "c"))) == {"token_ids", "padding_mask"}
    # One with segments serves as well, on texts.
    vocabulary = encoder.tokenizer.vocabulary
    other = DistilBertEncoder(FOLDER / "masked_lm", tokenizer=WordPieceTokenizer(vocabulary))
    assert set(other.tokenize_inputs((np.array(["a b"]),))) == {"token_ids", "padding_mask"}


def test_a_preset_without_files() -> None:
    small = {"num_layers": 1, "hidden_size": 12, "vocabulary_size": 61}
    encoder = DistilBertEncoder("distilbert-base-uncased", weights=None, architecture=small)
    assert encoder.preset == "distilbert-base"
    assert encoder.input_names == ("token_ids", "padding_mask")
