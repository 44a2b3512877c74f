"""AlbertEncoder: shared layers, a factorised embedding, and the numbers of its authors' program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.layers import AlbertEncoder
from keras_pretrained.layers.transformers.albert import AlbertArchitecture
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.relatives import GOLDENS, RELATIVES, model_of
from tests.parity.recording import Record

HF, GROUPS = GOLDENS / "albert_hf" / "pretraining", GOLDENS / "albert_hf" / "groups"
GOOGLE = GOLDENS / "albert_google"
SOURCES = {"hf-pretraining": HF, "hf-groups": GROUPS, "google": GOOGLE}
ALBERT = RELATIVES["albert"]


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(SOURCES[name] / "expected.npz") as stored:
        return dict(stored)


def inputs(stored: dict[str, np.ndarray], batch: str) -> dict[str, np.ndarray]:
    names = ("token_ids", "segment_ids", "padding_mask")
    return {name: stored[f"{batch}_{name}"] for name in names}


@pytest.mark.parity
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("batch", ["long", "short"])
def test_every_depth_equals_the_original(name: str, batch: str, parity: Record) -> None:
    stored, encoder, measured = golden(name), AlbertEncoder(SOURCES[name]), parity(f"albert/{name}")
    assert encoder.load_report is not None
    assert encoder.load_report.dialect == name.partition("-")[0]
    found = to_numpy(encoder.features(inputs(stored, batch)))
    assert len(found["attentions"]) == 4
    for ours, original in zip(
        found["hidden_states"], stored[f"{batch}_hidden_states"], strict=True
    ):
        measured.close("hidden states", ours, original)
    measured.close("pooled", found["pooled"], stored[f"{batch}_pooled"])
    for index, original in zip((0, -1), stored[f"{batch}_attentions"], strict=True):
        measured.close("attentions", found["attentions"][index], original)


@pytest.mark.parity
def test_the_compiled_output_is_the_same_numbers(parity: Record) -> None:
    stored, encoder = golden("google"), AlbertEncoder(GOOGLE)
    model = model_of(encoder)
    model.compile(jit_compile=True)
    found = model.predict(inputs(stored, "long"), verbose=0)
    parity("albert/google").close("hidden states, XLA", found, stored["long_hidden_states"][-1])


def test_what_the_configuration_files_say() -> None:
    google, groups = AlbertEncoder(GOOGLE).architecture, AlbertEncoder(GROUPS).architecture
    # To Google's program "gelu" is the tanh approximation, to transformers the exact function.
    assert (google.activation, groups.activation) == ("gelu_tanh", "gelu")
    assert (google.num_groups, groups.num_groups) == (1, 2)
    assert (google.embedding_size, google.dropout) == (8, 0.0)
    # Embeddings as wide as hidden states, which transformers projects all the same.
    assert groups.embedding_size == groups.hidden_size
    assert groups.projection
    assert AlbertEncoder(GROUPS, weights=None).architecture.num_groups == 2


@pytest.mark.parametrize("name", SOURCES)
def test_weights_are_written_back(name: str, tmp_path: Path) -> None:
    encoder = AlbertEncoder(SOURCES[name], max_length=9)
    dialect = encoder.load_report.dialect
    folder = encoder.save_weights_as(tmp_path / "folder", dialect)
    original, written = open_checkpoint(SOURCES[name]), open_checkpoint(folder)
    used = {each for names in encoder.load_report.loaded.values() for each in names}
    assert set(written) == used
    for each in used:
        assert written[each].read().tobytes() == original[each].read().tobytes(), each
        assert written[each].shape == original[each].shape
    published = {path.name for path in SOURCES[name].iterdir()} - {"golden.json", "expected.npz"}
    assert published <= {path.name for path in folder.iterdir()}
    again = AlbertEncoder(folder, max_length=9)
    assert again.architecture == encoder.architecture
    assert again.load_report.dialect == dialect
    x = ALBERT.inputs()
    np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(encoder(x)))
    texts = ["In 1997, a text", "another"]
    ids = encoder.tokenizer(texts)["token_ids"]
    np.testing.assert_array_equal(again.tokenizer(texts)["token_ids"], ids)


@pytest.mark.parametrize(("layers", "groups"), [(4, 1), (4, 2), (12, 3), (5, 2), (7, 3), (3, 3)])
def test_layers_belong_to_groups_as_in_the_original(layers: int, groups: int) -> None:
    made = AlbertArchitecture(9, layers, 1, 4, 4, num_groups=groups)
    assert made.block_of == [int(index / (layers / groups)) for index in range(layers)]
    assert sorted(set(made.block_of)) == list(range(groups))


def test_a_group_is_one_stage_and_every_layer_a_hidden_state() -> None:
    encoder = AlbertEncoder(GROUPS, trainable_from=1)
    assert [stage.name for stage in encoder.stages] == ["stem", "layer_0", "layer_1", "pooler"]
    states = to_numpy(encoder.features(ALBERT.inputs())["hidden_states"])
    assert len(states) == 5
    for position in range(5):
        chosen = AlbertEncoder(GROUPS, hidden_layers=position)
        np.testing.assert_array_equal(to_numpy(chosen(ALBERT.inputs())), states[position])
    # Of a group some of whose layers no output needs, the weights are in use all the same.
    for position, used in {0: 1, 1: 2, 2: 2, 3: 3, 4: 3}.items():
        chosen = AlbertEncoder(GROUPS, hidden_layers=position)
        assert sum(chosen.in_use(index) for index in range(4)) == used


def test_the_shared_weights_get_the_gradients_of_all_layers() -> None:
    """Two layers of one group move as two equal layers of two groups do together."""
    sizes: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "hidden_size": 8}
    sizes |= {"vocabulary_size": 23, "intermediate_size": 16, "embedding_size": 6}
    shared = AlbertEncoder(architecture=sizes, pooling="mean")
    apart = AlbertEncoder(architecture={**sizes, "num_groups": 2}, pooling="mean")
    apart.embeddings.set_weights(shared.embeddings.get_weights())
    for block in apart.blocks:
        block.set_weights(shared.blocks[0].get_weights())
    before = to_numpy(shared.blocks[0].weights)
    for encoder in (shared, apart):
        model = model_of(encoder)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        model.train_on_batch(ALBERT.inputs(), np.ones((3, 8), "float32"))
    moved = [to_numpy(block.weights) for block in apart.blocks]
    for index, start in enumerate(before):
        both = moved[0][index] + moved[1][index] - 2 * start
        ours = to_numpy(shared.blocks[0].weights[index]) - start
        np.testing.assert_allclose(ours, both, atol=1e-6)


def edited(folder: Path, source: Path, **changes: Any) -> Path:
    shutil.copytree(source, folder)
    name = "albert_config.json" if source == GOOGLE else "config.json"
    config = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**config, **changes}), encoding="utf-8")
    return folder


def test_wrong_configurations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"inner_group_num=2\. Expected 1"):
        AlbertEncoder(edited(tmp_path / "inner", GOOGLE, inner_group_num=2))
    with pytest.raises(ValueError, match="num_groups must lie between 1 and num_layers=4"):
        AlbertEncoder(edited(tmp_path / "groups", GOOGLE, num_hidden_groups=5))
    with pytest.raises(WeightsError, match="group_1"):
        AlbertEncoder(edited(tmp_path / "more", GOOGLE, num_hidden_groups=2))
    with pytest.raises(WeightsError, match=r"embeddings/projection/kernel: expected shape"):
        AlbertEncoder(GOOGLE, architecture={"embedding_size": 7})
    with pytest.raises(WeightsError, match=r"nothing uses[\s\S]*albert_layer_groups.1"):
        AlbertEncoder(GROUPS, architecture={"num_groups": 1})


def test_files_beside_each_other_are_found(tmp_path: Path) -> None:
    """Google's names, in the only folder of an unpacked archive."""
    shutil.copytree(GOOGLE, tmp_path / "albert_tiny")
    (tmp_path / "albert_tiny" / "checkpoint").write_text(
        'model_checkpoint_path: "model.ckpt-best"\n', encoding="utf-8"
    )
    encoder = AlbertEncoder(tmp_path)
    assert encoder.tokenizer.vocabulary_size == encoder.architecture.vocabulary_size == 900
    assert AlbertEncoder(GOOGLE / "model.ckpt-best").has_tokenizer


def test_casing_is_what_the_source_says(tmp_path: Path) -> None:
    assert AlbertEncoder(HF).tokenizer.lowercase
    assert not AlbertEncoder(HF, lowercase=False).tokenizer.lowercase
    folder = shutil.copytree(HF, tmp_path / "cased")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
    assert not AlbertEncoder(folder).tokenizer.lowercase


def test_chinese_networks_have_word_pieces(tmp_path: Path) -> None:
    folder = shutil.copytree(GOOGLE, tmp_path / "zh")
    (folder / "30k-clean.model").unlink()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "中", "文"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    encoder = AlbertEncoder(folder, pooling="mean", max_length=9)
    ids = encoder.tokenizer(["中文 x"])
    assert ids["token_ids"].tolist() == [[2, 5, 6, 1, 3]]
    model_of(encoder).save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    again = next(layer for layer in reloaded.layers if isinstance(layer, AlbertEncoder))
    np.testing.assert_array_equal(again.tokenizer(["中文 x"])["token_ids"], ids["token_ids"])
