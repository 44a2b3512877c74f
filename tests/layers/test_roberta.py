"""RobertaEncoder: what it alone has, and its numbers against transformers'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.layers import RobertaEncoder
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.relatives import GOLDENS, RELATIVES
from tests.parity.recording import Record

FOLDER = GOLDENS / "roberta"
HF, FAIRSEQ, SPLIT, POOLER = (
    FOLDER / name for name in ("hf", "fairseq", "fairseq_split", "hf_pooler")
)
INPUTS = RELATIVES["roberta"].inputs()

# source -> expected numbers, dialect
CHECKPOINTS = {
    "hf-safetensors": (HF, HF, "hf"),
    "hf-bin-pooler": (POOLER, POOLER, "hf"),
    "fairseq-2019": (FAIRSEQ, HF, "fairseq"),
    "fairseq-2021": (SPLIT, HF, "fairseq"),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_depth_equals_the_original(name: str, parity: Record) -> None:
    source, expectation, dialect = CHECKPOINTS[name]
    encoder, measured = RobertaEncoder(source), parity(f"roberta/{name}")
    assert encoder.load_report is not None
    assert encoder.load_report.dialect == dialect
    golden = dict(np.load(expectation / "expected.npz"))
    for batch in ("long", "short"):
        inputs = {key: golden[f"{batch}_{key}"] for key in ("token_ids", "padding_mask")}
        found = to_numpy(encoder.features(inputs))
        for ours, original in zip(
            found["hidden_states"], golden[f"{batch}_hidden_states"], strict=True
        ):
            measured.close("hidden states", ours, original)
        for index, original in zip((0, -1), golden[f"{batch}_attentions"], strict=True):
            measured.close("attentions", found["attentions"][index], original)
        assert ("pooled" in found) == (source == POOLER)
        if "pooled" in found:
            measured.close("pooled", found["pooled"], golden[f"{batch}_pooled"])


def test_the_golden_weights_would_show_a_mistake() -> None:
    """In the epsilon, the activation, or what the positions are counted over."""
    golden = dict(np.load(HF / "expected.npz"))
    inputs = {key: golden[f"long_{key}"] for key in ("token_ids", "padding_mask")}
    right = to_numpy(RobertaEncoder(HF)(inputs))
    assert np.abs(golden["long_hidden_states"][-1] - right).max() < 1e-5
    for wrong in ({"layer_norm_epsilon": 1e-12}, {"activation": "gelu_tanh"}):
        found = to_numpy(RobertaEncoder(HF, architecture=wrong)(inputs))
        assert np.abs(found - right).max() > 1e-4, wrong
    everything = {**inputs, "padding_mask": np.ones_like(inputs["padding_mask"])}
    found = to_numpy(RobertaEncoder(HF, hidden_layers=0)(everything))
    assert np.abs(found - golden["long_hidden_states"][0]).max() > 1e-2


def test_the_position_table_has_rows_that_are_no_positions() -> None:
    """514 rows are 512 positions, in the configuration, in the table and in what is written."""
    encoder = RobertaEncoder(HF)
    assert encoder.architecture.max_positions == encoder.max_length == 14
    assert encoder.embeddings.position_embeddings.shape == (16, 16)
    config = json.loads(encoder.published_files("hf")["config.json"])
    published = json.loads((HF / "config.json").read_text(encoding="utf-8"))
    assert config.items() <= published.items()
    assert config["max_position_embeddings"] == 16


def test_positions_are_counted_over_real_tokens() -> None:
    encoder = RELATIVES["roberta"].make(hidden_layers=0)
    rows = to_numpy(encoder.embeddings.position_embeddings)
    words = to_numpy(encoder.embeddings.word_embeddings)
    extra = to_numpy(encoder.embeddings.token_type_embeddings)[0]
    ids = np.array([[1, 5, 1, 6, 1]], "int32")
    summed = words[ids[0]] + rows[[1, 2, 1, 3, 1]] + extra
    expected = to_numpy(encoder.embeddings.norm(summed))
    np.testing.assert_allclose(to_numpy(encoder(ids))[0], expected, atol=1e-6)


def test_absent_settings_are_those_of_transformers(tmp_path: Path) -> None:
    shutil.copytree(HF, tmp_path, dirs_exist_ok=True)
    config = json.loads((HF / "config.json").read_text(encoding="utf-8"))
    for key in ("max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id"):
        del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = RobertaEncoder(tmp_path, weights=None).architecture
    assert (found.max_positions, found.num_segments, found.pad_id) == (510, 2, 1)
    assert found.layer_norm_epsilon == 1e-12
    config["max_position_embeddings"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"config\.json has a position table of 2 rows, of which 2"
    ):
        RobertaEncoder(tmp_path)


@pytest.mark.parametrize("source", [FAIRSEQ, SPLIT], ids=lambda path: path.name)
def test_fairseq_is_written_back(source: Path, tmp_path: Path) -> None:
    encoder = RobertaEncoder(source, max_length=9)
    assert encoder.load_report is not None
    written = open_checkpoint(encoder.save_weights_as(tmp_path / "m.pt", "fairseq"))
    original = open_checkpoint(source)
    used = {name for names in encoder.load_report.loaded.values() for name in names}
    assert set(written) == used
    for name in used:
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
        assert (written[name].shape, written[name].dtype) == (
            original[name].shape,
            original[name].dtype,
        )
    again = RobertaEncoder(encoder.save_weights_as(tmp_path / "folder", "fairseq"), max_length=9)
    assert again.architecture == encoder.architecture
    assert again.architecture.attention_dropout == 0.05
    np.testing.assert_array_equal(to_numpy(again(INPUTS)), to_numpy(encoder(INPUTS)))
    texts = ["a b c", "d"]
    np.testing.assert_array_equal(
        again.tokenizer(texts)["token_ids"], encoder.tokenizer(texts)["token_ids"]
    )


def test_between_the_dialects(tmp_path: Path) -> None:
    """fairseq has no token types: their row is zeros there and back."""
    encoder = RobertaEncoder(FAIRSEQ)
    as_hf = open_checkpoint(encoder.save_weights_as(tmp_path / "a.safetensors", "hf"))
    original = open_checkpoint(HF)
    for name in as_hf:
        expected = original[f"roberta.{name}"].read()
        assert as_hf[name].read().tobytes() == expected.tobytes(), name
    assert not as_hf["embeddings.token_type_embeddings.weight"].read().any()
    back = RobertaEncoder(HF)
    back.load_weights_from(back.save_weights_as(tmp_path / "b.pt", "fairseq"))
    np.testing.assert_array_equal(to_numpy(back(INPUTS)), to_numpy(encoder(INPUTS)))


def test_a_trained_row_of_token_types_goes_into_the_positions(tmp_path: Path) -> None:
    encoder = RobertaEncoder(POOLER, architecture={"pooler": False}, weights=None)
    # Not a constant, which the normalisation would take away.
    encoder.embeddings.token_type_embeddings.assign(np.linspace(-1, 1, 16)[None])
    path = encoder.save_weights_as(tmp_path / "m.pt", "fairseq")
    again = RobertaEncoder(path)
    assert not to_numpy(again.embeddings.token_type_embeddings).any()
    np.testing.assert_allclose(to_numpy(again(INPUTS)), to_numpy(encoder(INPUTS)), atol=1e-5)
    segments = RobertaEncoder(HF, architecture={"num_segments": 2}, weights=None)
    with pytest.raises(ValueError, match="This dialect has no segments"):
        segments.save_weights_as(tmp_path / "n.pt", "fairseq")


def test_a_pooler_is_not_in_fairseq(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"pooler/kernel: no rule of this dialect"):
        RobertaEncoder(POOLER).save_weights_as(tmp_path / "m.pt", "fairseq")


def test_the_tokenizer_of_either_folder() -> None:
    texts = ["a b c", "the dog", "Wörld", ""]
    tokenizers = [RobertaEncoder(path, weights=None).tokenizer for path in (HF, POOLER)]
    tokenizers += [RobertaEncoder(path).tokenizer for path in (FAIRSEQ, SPLIT)]
    ids = [tokenizer(texts)["token_ids"] for tokenizer in tokenizers]
    for other in ids[1:]:
        np.testing.assert_array_equal(ids[0], other)
    assert ids[0][0].tolist()[:7] == [0, 227, 194, 132, 194, 16, 2]
    assert tokenizers[0].decode(ids[0][1], skip_special_tokens=True) == "the dog"


def test_without_the_files_of_the_tokenizer(tmp_path: Path) -> None:
    shutil.copy(FAIRSEQ / "model.pt", tmp_path)
    shutil.copy(FAIRSEQ / "dict.txt", tmp_path)
    encoder = RobertaEncoder(tmp_path)
    with pytest.raises(ValueError, match="no vocabulary"):
        _ = encoder.tokenizer
    (tmp_path / "dict.txt").unlink()
    for name in ("encoder.json", "vocab.bpe"):
        shutil.copy(FAIRSEQ / name, tmp_path)
    # OpenAI's ids are not this network's.
    with pytest.raises(ValueError, match="<s>"):
        RobertaEncoder(tmp_path)
    with pytest.raises(ValueError, match="lowercase"):
        RobertaEncoder(HF, lowercase=True)


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    from keras_pretrained.checkpoints.pickled_plain import Record as Namespace
    from keras_pretrained.checkpoints.writing import write_checkpoint

    stored = {name: each.read() for name, each in open_checkpoint(FAIRSEQ).items()}
    tensors = {name.removeprefix("model."): array for name, array in stored.items()}

    def save(**settings: Any) -> Path:
        content = {"args": Namespace("argparse.Namespace", state=settings), "model": tensors}
        return write_checkpoint(tmp_path / "m.pt", content, "torch")

    with pytest.raises(WeightsError, match="number of heads"):
        RobertaEncoder(save())
    with pytest.raises(WeightsError, match=r"activation 'swish'\. Expected one of: gelu, gelu_acc"):
        RobertaEncoder(save(encoder_attention_heads=2, activation_fn="swish"))
    with pytest.raises(ValueError, match="multiple of num_heads"):
        RobertaEncoder(save(encoder_attention_heads=3))
    with pytest.raises(ValueError, match="multiple of num_heads"):
        RobertaEncoder(save(encoder_attention_heads=0))
    table = "decoder.sentence_encoder.embed_positions.weight"
    whole, tensors[table] = tensors[table], tensors[table][:2]
    with pytest.raises(ValueError, match=r"m\.pt has a position table of 2 rows"):
        RobertaEncoder(save(encoder_attention_heads=2))
    tensors[table] = whole
    found = RobertaEncoder(save(encoder_attention_heads=2, activation_fn="gelu_fast")).architecture
    assert (found.activation, found.dropout) == ("gelu_tanh", 0.1)


def test_a_preset_of_files_in_their_place(tmp_path: Path, monkeypatch: Any) -> None:
    """The preset's sizes are not those of the golden data: the files are found, and refused."""
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path))
    shutil.copytree(HF, tmp_path / "distilroberta-base")
    with pytest.raises(WeightsError, match="word_embeddings: expected shape"):
        RobertaEncoder("distilroberta-base")
    small = {"num_layers": 1, "hidden_size": 12, "vocabulary_size": 281}
    encoder = RobertaEncoder("distilroberta-base", weights=None, architecture=small)
    assert encoder.tokenizer.vocabulary_size == 281
    assert encoder.architecture.max_positions == 512
