"""ElectraEncoder: both networks of Google's checkpoints, and the numbers of transformers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained import open_checkpoint, preset_info
from keras_pretrained.layers import ElectraEncoder
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.relatives import GOLDENS, RELATIVES
from tests.parity.recording import Record

HF, GOOGLE = GOLDENS / "electra_hf", GOLDENS / "electra_google"
ELECTRA = RELATIVES["electra"]
# source, expected numbers, dialect to ask for, dialect that is found
CHECKPOINTS = {
    "hf-discriminator": (HF / "discriminator", "expected", "auto", "hf"),
    "hf-generator": (HF / "generator", "expected", "auto", "hf"),
    "hf-wide": (HF / "wide", "expected", "auto", "hf"),
    "google": (GOOGLE, "expected", "auto", "google"),
    "google-generator": (GOOGLE, "expected_generator", "google-generator", "google-generator"),
}
checkpoints = pytest.mark.parametrize("name", CHECKPOINTS)


def load(name: str) -> ElectraEncoder:
    source, _, dialect, found = CHECKPOINTS[name]
    encoder = ElectraEncoder(source, dialect=dialect)
    assert encoder.load_report is not None
    assert encoder.load_report.dialect == found
    return encoder


@pytest.mark.parity
@checkpoints
@pytest.mark.parametrize("batch", ["long", "short"])
def test_every_depth_equals_the_original(name: str, batch: str, parity: Record) -> None:
    source, file, _, _ = CHECKPOINTS[name]
    encoder, measured = load(name), parity(f"electra/{name}")
    with np.load(source / f"{file}.npz") as stored:
        golden = dict(stored)
    names = ("token_ids", "segment_ids", "padding_mask")
    found = to_numpy(encoder.features({each: golden[f"{batch}_{each}"] for each in names}))
    assert set(found) == {"hidden_states", "attentions"}
    for ours, original in zip(
        found["hidden_states"], golden[f"{batch}_hidden_states"], strict=True
    ):
        measured.close("hidden states", ours, original)
    for index, original in zip((0, -1), golden[f"{batch}_attentions"], strict=True):
        measured.close("attentions", found["attentions"][index], original)


@checkpoints
def test_weights_are_written_back(name: str, tmp_path: Path) -> None:
    source, _, asked, dialect = CHECKPOINTS[name]
    encoder = load(name)
    folder = encoder.save_weights_as(tmp_path / "folder", dialect)
    original, written = open_checkpoint(source), open_checkpoint(folder)
    used = {each for names in encoder.load_report.loaded.values() for each in names}
    assert set(written) == used
    for each in used:
        assert written[each].read().tobytes() == original[each].read().tobytes(), each
        assert written[each].shape == original[each].shape
    again = ElectraEncoder(folder, dialect=asked)
    assert again.architecture == encoder.architecture
    x = ELECTRA.inputs()
    np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(encoder(x)))


def test_the_discriminator_is_the_default_and_the_generator_is_asked_for() -> None:
    discriminator, generator = load("google"), load("google-generator")
    assert discriminator.architecture.num_layers == 3
    assert (generator.architecture.num_layers, generator.architecture.hidden_size) == (2, 12)
    assert generator.architecture.embedding_size == 8
    for encoder, other in ((discriminator, "generator"), (generator, "discriminator")):
        reasons = set(encoder.load_report.ignored.values())
        assert any(other in reason for reason in reasons)
        assert "an optimizer slot" in reasons
    np.testing.assert_array_equal(
        to_numpy(discriminator.embeddings.word_embeddings),
        to_numpy(generator.embeddings.word_embeddings),
    )


@pytest.mark.parametrize(("hidden", "heads"), [(128, 2), (192, 3), (16, 1), (100, 1)])
def test_heads_are_those_of_the_original_program(hidden: int, heads: int, tmp_path: Path) -> None:
    sizes = {"vocabulary_size": 9, "num_layers": 1, "hidden_size": hidden, "intermediate_size": 8}
    made = ElectraEncoder(architecture={**sizes, "num_heads": heads, "embedding_size": 4})
    folder = made.save_weights_as(tmp_path / "folder", "google")
    (folder / "config.json").unlink()
    assert ElectraEncoder(folder).architecture == made.architecture
    more = ElectraEncoder(folder, architecture={"num_heads": 4})
    assert more.architecture.num_heads == 4


def test_other_heads_than_the_original_programs_are_written_down(tmp_path: Path) -> None:
    encoder = ElectraEncoder(HF / "discriminator")
    assert encoder.architecture.num_heads == 2
    folder = encoder.save_weights_as(tmp_path / "folder", "google")
    assert ElectraEncoder(folder).architecture == encoder.architecture


def test_tensors_that_do_not_tell_the_sizes(tmp_path: Path) -> None:
    folder = shutil.copytree(HF / "discriminator", tmp_path / "folder")
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match="do not tell the number of heads"):
        ElectraEncoder(folder)
    with pytest.raises(WeightsError, match="belong to no dialect"):
        ElectraEncoder(GOLDENS / "albert_hf" / "pretraining" / "model.safetensors")
    with pytest.raises(WeightsError, match="'hf', 'google', 'google-generator'"):
        ElectraEncoder(GOOGLE, dialect="tf")


def test_the_embeddings_are_projected_only_to_another_width() -> None:
    assert load("hf-wide").embeddings.projection is None
    assert load("hf-discriminator").embeddings.projection is not None
    alone = ElectraEncoder(
        architecture={
            "vocabulary_size": 9,
            "num_layers": 1,
            "num_heads": 1,
            "hidden_size": 6,
            "intermediate_size": 8,
        }
    )
    assert alone.architecture.embedding_size == 6
    assert alone.embeddings.projection is None


def test_a_preset_of_a_generator_reads_the_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path))
    for name in ("electra-small", "electra-small-generator"):
        published = preset_info(name)
        folder = shutil.copytree(GOOGLE, tmp_path / name)
        for part in ("index", "data-00000-of-00001"):
            (folder / f"electra_tiny.{part}").rename(folder / f"electra_small.{part}")
        expected = load("google" if name == "electra-small" else "google-generator")
        sizes = {key: getattr(expected.architecture, key) for key in published.architecture}
        encoder = ElectraEncoder(replace(published, architecture=sizes))
        assert encoder.load_report.dialect == expected.load_report.dialect
        x = ELECTRA.inputs()
        np.testing.assert_array_equal(to_numpy(encoder(x)), to_numpy(expected(x)))
