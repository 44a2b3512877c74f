"""ELMo against the original authors' vectors, AllenNLP's, and the paper written out in NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.layers import ElmoEmbedding
from keras_pretrained.layers.blocks.scalar_mix import ScalarMix
from tests.layers.elmo_models import (
    FIXTURE,
    FULL,
    GOLDEN,
    SMALL,
    elmo,
    golden,
    random_reference,
    stored,
    write,
)
from tests.layers.elmo_reference import Reference, character_ids
from tests.layers.layer_test import to_numpy

BACKEND = keras.backend.backend()
needs_fixture = pytest.mark.skipif(not FIXTURE.is_dir(), reason="absent: ../shared/fixtures/elmo")
DIALECTS = ["bilm", "tf-hub", "bilm-training"]


def ids_of(batch: Sequence[Sequence[str]]) -> np.ndarray:
    """Character ids made by the reference, not by the tokenizer."""
    ids = np.zeros((len(batch), max(map(len, batch)), 50), "int32")
    for row, words in enumerate(batch):
        for place, word in enumerate(words):
            ids[row, place] = character_ids(word)
    return ids


def fixture_batches() -> list[list[list[str]]]:
    """Ten batches of three sentences: row k is file k."""
    files = json.loads((FIXTURE / "lm_embeddings_sentences.json").read_text(encoding="utf-8"))
    return [[files[row][index].split() for row in range(3)] for index in range(10)]


def fixture_reference() -> Reference:
    options = json.loads((FIXTURE / "options.json").read_text())
    return Reference(stored(FIXTURE / "lm_weights.hdf5"), options, stateful=True)


@pytest.mark.parity
@needs_fixture
def test_the_vectors_of_the_original_authors() -> None:
    """All layers, both directions, states carried over ten batches, as the original does."""
    layer = ElmoEmbedding(FIXTURE / "lm_weights.hdf5", stateful=True)
    assert not layer.architecture.skip_connections
    assert not layer.load_report.ignored
    reference = fixture_reference()
    files = [stored(FIXTURE / f"lm_embeddings_{row}.hdf5") for row in range(3)]
    for index, batch in enumerate(fixture_batches()):
        states = to_numpy(layer.features(ids_of(batch))["hidden_states"])
        written_out = reference(batch)
        for row, words in enumerate(batch):
            forward, backward = files[row][str(index)]
            original = np.concatenate([forward, backward], axis=-1)
            # First the reference by itself; then it stands for the layers that were not published.
            np.testing.assert_allclose(written_out[row][2], original, atol=2e-6)
            wanted = [*written_out[row][:2], original]
            for depth, (ours, theirs) in enumerate(zip(states, wanted, strict=True)):
                found = ours[row, : len(words)]
                np.testing.assert_allclose(found, theirs, atol=1e-5, err_msg=f"layer {depth}")


@needs_fixture
def test_states_are_carried_only_when_asked_for() -> None:
    """What the original program gives without its states is something else, by far."""
    batches = fixture_batches()
    carried = ElmoEmbedding(FIXTURE / "lm_weights.hdf5", stateful=True, hidden_layers=2)
    alone = ElmoEmbedding(FIXTURE / "lm_weights.hdf5", hidden_layers=2)
    first = ids_of([words[:6] for words in batches[0]])
    begun = to_numpy(carried(first))
    np.testing.assert_allclose(begun, to_numpy(alone(first)), atol=1e-6)
    later = to_numpy(carried(first))
    assert np.abs(later - begun).max() > 0.1
    np.testing.assert_array_equal(to_numpy(alone(first)), to_numpy(alone(first)))
    carried.reset_state()
    np.testing.assert_allclose(to_numpy(carried(first)), begun, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("stateful", [False, True])
def test_allennlp(stateful: bool, parity: Any) -> None:
    expected, layer = golden(), elmo(stateful=stateful)
    key = "stateful" if stateful else "hidden_states"
    measured = parity(f"elmo/allennlp{'-stateful' * stateful}")
    for batch in ("first", "second", "third"):
        ids = expected[f"{batch}_character_ids"]
        found = to_numpy(layer.features(ids)["hidden_states"])
        real = (ids > 0).any(-1)
        for name, ours, original in zip(
            ("words", "layer_0", "layer_1"), found, expected[f"{batch}_{key}"], strict=True
        ):
            measured.close(name, ours[real], original[real])


@pytest.mark.parity
def test_the_reference_agrees_with_allennlp() -> None:
    expected = golden()
    options = json.loads((GOLDEN / "options.json").read_text())
    for key, stateful in (("hidden_states", False), ("stateful", True)):
        reference = Reference(stored(GOLDEN / "weights.hdf5"), options, stateful)
        for batch in ("first", "second", "third"):
            ids = expected[f"{batch}_character_ids"]
            words = [["".join(map(chr, row)) for row in sentence if row.any()] for sentence in ids]
            rows = {"".join(map(chr, row)): row for row in ids.reshape(-1, 50)}
            reference._words.update({word: reference._read(row) for word, row in rows.items()})
            for row, layers in enumerate(reference(words)):
                original = expected[f"{batch}_{key}"][:, row, : len(words[row])]
                np.testing.assert_allclose(np.stack(layers), original, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize(("key", "normalize"), [("mixed", False), ("mixed_normalized", True)])
def test_the_mix_of_allennlp(key: str, normalize: bool, parity: Any) -> None:
    expected = golden()
    *parameters, gamma = expected["mix_parameters"]
    mix = ScalarMix(layer_norm=normalize)
    layers = list(expected["first_hidden_states"])
    mix.build([each.shape for each in layers])
    mix.set_weights([np.array(parameters), np.array(gamma)])
    real = (expected["first_character_ids"] > 0).any(-1)
    ours = to_numpy(mix(layers, real))
    parity("elmo/allennlp").close("mix", ours[real], expected[key][real])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_the_same_network(dialect: str, tmp_path: Path) -> None:
    reference = random_reference(SMALL)
    batch = [["A", "longer", "sentence", "of", "six", "words"], ["short"], ["and", "another"]]
    source = write(tmp_path / "net", dialect, SMALL, reference.tensors_as_stored())
    layer = ElmoEmbedding(source)
    assert layer.load_report.dialect == dialect
    found = to_numpy(layer.features(ids_of(batch))["hidden_states"])
    for row, layers in enumerate(reference(batch)):
        for ours, wanted in zip(found, layers, strict=True):
            np.testing.assert_allclose(ours[row, : len(wanted)], wanted, atol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_published_size(dialect: str, tmp_path: Path) -> None:
    """93,600,848 random weights in every dialect, against the paper written out in NumPy."""
    reference = random_reference(FULL)
    tensors = reference.tensors_as_stored()
    assert sum(array.size for array in tensors.values()) == 93_600_848
    batch = [["The", "networks", "are", "large", "."], ["Yes", "."]]
    layer = ElmoEmbedding(write(tmp_path / "net", dialect, FULL, tensors))
    found = to_numpy(layer.features(ids_of(batch))["hidden_states"])
    for row, layers in enumerate(reference(batch)):
        for ours, wanted in zip(found, layers, strict=True):
            assert np.abs(wanted).max() > 0.3
            np.testing.assert_allclose(ours[row, : len(wanted)], wanted, atol=2e-5)
    written = open_checkpoint(layer.save_weights_as(tmp_path / "back", dialect=dialect))
    original = open_checkpoint(tmp_path / "net")
    for name in written:
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
