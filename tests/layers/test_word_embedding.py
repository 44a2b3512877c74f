"""`WordEmbedding`: vectors, ids, depth, words and files, on every backend."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.layers import WordEmbedding
from keras_pretrained.presets import preset_info
from keras_pretrained.tokenizers import WhitespaceTokenizer
from keras_pretrained.weights import WeightsError
from tests.checkpoints.word_vectors.files import GOLDENS, expected
from tests.layers.layer_test import run_layer_test, to_numpy

GLOVE, MODEL = GOLDENS / "glove.txt", GOLDENS / "model.bin"
SIZES = {"vocabulary_size": 4, "hidden_size": 3}
IDS = np.array([[2, 5, 1, 9, 0], [3, 3, 0, 0, 0]], "int32")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(("pooling", "shape"), [(None, (None, None, 6)), ("mean-max", (None, 12))])
def test_the_shared_layer_test(
    pooling: str | None, shape: tuple[int | None, ...], tmp_path: Path
) -> None:
    inputs = {"token_ids": IDS, "padding_mask": (IDS != 0).astype("int32")}
    run_layer_test(
        lambda **options: WordEmbedding(GLOVE, pooling=pooling, trainable_from=0, **options),
        inputs,
        shape,
        tmp_path,
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", ["model.bin", "word2vec.bin", "word2vec.txt", "glove.txt"])
def test_rows_are_the_vectors_of_the_words(name: str) -> None:
    arrays = expected()
    layer = WordEmbedding(GOLDENS / name)
    words = arrays["words"][:49].tolist()
    assert layer.vocabulary == ["", "[UNK]", *words]
    output = to_numpy(layer(np.arange(51)[None]))[0]
    np.testing.assert_array_equal(output[:2], 0)
    np.testing.assert_allclose(output[2:], arrays["vectors"][:49], rtol=0, atol=1e-6)
    assert layer.load_report is not None
    assert "49 words with vectors" in str(layer.load_report)


@pytest.mark.parity
def test_words_that_a_model_does_not_list_have_vectors(parity: Any) -> None:
    arrays = expected()
    words = arrays["words"].tolist()
    layer = WordEmbedding(MODEL, vocabulary=words[::-1])
    measured = parity("word-vectors/fasttext")
    ids = np.arange(2, 2 + len(words))[None]
    measured.close("layer", to_numpy(layer(ids))[0], arrays["vectors"][::-1])
    assert layer.missing_words == ()
    assert "9 of them made of their parts" in str(layer.load_report)
    # Those that a layer does not know come from the file, outside of models.
    some = WordEmbedding(MODEL, vocabulary=words[:5])
    measured.close("unseen", some.vectors(words), arrays["vectors"])


@pytest.mark.parity
def test_likeness_as_gensim_has_it(parity: Any) -> None:
    arrays = expected()
    layer = WordEmbedding(GOLDENS / "word2vec.bin")
    measured = parity("word-vectors/word2vec")
    words, cosines = zip(*layer.most_similar("dog"), strict=True)
    assert list(words) == arrays["alike_words"].tolist()
    measured.close("cosines", cosines, arrays["alike_cosines"])
    words, cosines = zip(*layer.analogy("dog", "cat", "king", count=5), strict=True)
    assert list(words) == arrays["analogy_words"].tolist()
    measured.close("cosines", cosines, arrays["analogy_cosines"])
    measured.close("cosines", layer.similarity("king", "queen"), arrays["similarity"])
    assert layer.analogy("dog", "cat", "king")[0][0] == arrays["analogy_words"][0]
    assert len(layer.most_similar("dog", count=1000)) == 48
    with pytest.raises(ValueError, match=r"'zebra' has no vector.*49 words of layer"):
        layer.most_similar("zebra")


@pytest.mark.parametrize("policy", ["zero", "mean", "random"])
def test_words_without_a_vector(policy: str) -> None:
    words = ["zebra", "dog", "yak", "cat"]
    layer = WordEmbedding(GLOVE, vocabulary=words, out_of_vocabulary=policy)
    assert layer.missing_words == ("zebra", "yak")
    assert "2 words without: zebra, yak" in str(layer.load_report)
    table = layer.table()
    known = table[[3, 5]]
    np.testing.assert_array_equal(known, WordEmbedding(GLOVE).vectors(["dog", "cat"]))
    np.testing.assert_array_equal(table[0], 0)
    new = table[[1, 2, 4]]
    if policy == "zero":
        np.testing.assert_array_equal(new, 0)
    elif policy == "mean":
        np.testing.assert_allclose(new, np.broadcast_to(known.mean(0), (3, 6)), rtol=1e-6)
    else:
        assert len({tuple(row) for row in new.tolist()}) == 3
        spread = np.abs(new - known.mean(0)) / known.std(0)
        assert 0.1 < spread.mean() < 2


def test_vocabularies(tmp_path: Path) -> None:
    words = ["cat", "犬", "dog"]
    (tmp_path / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (tmp_path / "windows.txt").write_bytes("\r\n".join(words).encode() + b"\r\n")
    listed = WordEmbedding(GLOVE, vocabulary=words)
    others = (
        tmp_path / "words.txt",
        str(tmp_path / "windows.txt"),
        ["", "[UNK]", *words],
        listed.vocabulary,
        np.array(words),
    )
    for vocabulary in others:
        layer = WordEmbedding(GLOVE, vocabulary=vocabulary)
        assert layer.vocabulary == listed.vocabulary == ["", "[UNK]", *words]
        np.testing.assert_array_equal(layer.table(), listed.table())
    assert listed.tokenizer.token_to_id("犬") == 3
    assert listed.tokenizer.token_to_id("mouse") == 1
    assert WordEmbedding(GLOVE, max_words=3).vocabulary == ["", "[UNK]", "the", "</s>", "and"]


def model_of(layer: Any) -> keras.Model:
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.AdamW(0.05, weight_decay=0.1), "mse", jit_compile=False)
    return model


def test_frozen_by_default_and_bit_identical() -> None:
    layer = WordEmbedding(GLOVE)
    assert layer.trainable_from is None
    assert [stage.name for stage in layer.stages] == ["stem"]
    assert not layer.trainable_variables
    before = layer.table().copy()
    model = model_of(layer)
    model.fit(IDS, np.ones((2, 1)), epochs=2, verbose=0)
    np.testing.assert_array_equal(layer.table(), before)
    layer.trainable_from = 0
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(IDS, np.ones((2, 1)), verbose=0)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(IDS, np.ones((2, 1)), verbose=0)
    changed = np.flatnonzero((layer.table() != before).any(axis=1)).tolist()
    assert changed == [1, 2, 3, 5, 9]
    with pytest.raises(ValueError, match=r"Expected None \(all frozen\), 0 \(all trains\), or"):
        layer.trainable_from = 1
    prefix, suffix = layer.split()
    np.testing.assert_array_equal(
        to_numpy(suffix(prefix({"token_ids": IDS, "padding_mask": IDS * 0 + 1}))),
        to_numpy(layer(IDS)),
    )


def test_padding_stays_zero_and_repeated_words_are_summed() -> None:
    """Adam, whose steps differ where gradients are squared before they are summed."""
    layer = WordEmbedding(GLOVE, vocabulary=["the", "dog", "cat"], trainable_from=0)
    before = layer.table().copy()
    model = model_of(layer)
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=False)
    ids = np.array([[2, 2, 2, 3, 0], [2, 3, 0, 0, 0]], "int32")
    kernel = to_numpy(model.layers[-1].kernel)
    model.train_on_batch(ids, np.ones((2, 1)))
    np.testing.assert_array_equal(layer.table()[0], 0)
    # The first step of Adam is the learning rate, for every value that has a gradient.
    moved = np.abs(layer.table() - before)
    assert (kernel != 0).all()
    np.testing.assert_allclose(moved[[2, 3]], 0.05, rtol=1e-2)
    np.testing.assert_array_equal(moved[[0, 1, 4]], 0)


def test_masks_reach_the_layers_behind() -> None:
    layer = WordEmbedding(GLOVE)
    inputs = keras.Input((5,), dtype="int32")
    pooled = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(layer(inputs)))
    output = to_numpy(pooled(IDS))
    rows = layer.table()[IDS]
    expected_output = [rows[0, :4].mean(0), rows[1, :2].mean(0)]
    np.testing.assert_allclose(output, expected_output, rtol=0, atol=1e-6)
    own = WordEmbedding(GLOVE, pooling="mean")
    np.testing.assert_allclose(to_numpy(own(IDS)), expected_output, rtol=0, atol=1e-6)
    mask = {"token_ids": IDS, "padding_mask": np.array([[1, 1, 0, 0, 0]] * 2)}
    np.testing.assert_allclose(to_numpy(own(mask)), rows[:, :2].mean(1), rtol=0, atol=1e-6)


def test_it_reloads_without_its_file(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_bytes(GLOVE.read_bytes())
    layer = WordEmbedding(file, out_of_vocabulary="mean", max_length=7)
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    file.unlink()
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    other = reloaded.get_layer(layer.name)
    assert other.vocabulary == layer.vocabulary
    assert other.tokenizer.max_length == 7
    np.testing.assert_array_equal(other.table(), layer.table())
    np.testing.assert_array_equal(other.vectors(["dog"]), layer.vectors(["dog"]))
    assert other.missing_words == ()
    with pytest.raises(ValueError, match="no file of this layer makes one"):
        other.similarity("dog", "unseen")
    np.testing.assert_array_equal(copy.deepcopy(layer).table(), layer.table())


@pytest.mark.parametrize("dialect", ["glove", "word2vec", "word2vec-text", "fasttext"])
def test_files_are_written_and_loaded(dialect: str, tmp_path: Path) -> None:
    layer = WordEmbedding(MODEL, out_of_vocabulary="mean")
    path = layer.save_weights_as(tmp_path / "written", dialect=dialect)
    again = WordEmbedding(path, out_of_vocabulary="mean")
    assert again.vocabulary == layer.vocabulary
    np.testing.assert_array_equal(again.table(), layer.table())
    part = WordEmbedding(MODEL, vocabulary=["dog", "cat"], out_of_vocabulary="mean")
    special = part.table()[:2].copy()
    part.embedding.vectors.assign(np.zeros((4, 6)) + special.mean())
    part.load_weights_from(path)
    np.testing.assert_array_equal(part.table()[2:], layer.vectors(["dog", "cat"]))
    with pytest.raises(ValueError, match="must be one of glove, word2vec"):
        layer.save_weights_as(tmp_path / "other", dialect="hf")


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    layer = WordEmbedding(MODEL, vocabulary=["dog", "zebra"])
    before = layer.table().copy()
    with pytest.raises(WeightsError, match=r"no vectors for 1 of the 2 words.*zebra"):
        layer.load_weights_from(GLOVE)
    (tmp_path / "other.txt").write_text("dog 1 2\nzebra 3 4\n")
    with pytest.raises(WeightsError, match=r"vectors of 2 values\. Expected 6"):
        layer.load_weights_from(tmp_path / "other.txt")
    np.testing.assert_array_equal(layer.table(), before)


def place(home: Path, preset: str, name: str, width: int) -> None:
    folder = home / preset
    folder.mkdir(parents=True)
    values = " ".join(["0.5"] * width)
    (folder / name).write_text(f"the {values}\ndog -{values}\n")


def test_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path / "home", "glove-6b-50d", "glove.6B.50d.txt", 50)
    layer = WordEmbedding("glove-6b-50d")
    assert layer.preset == "glove-6b-50d"
    assert layer.tokenizer.lowercase
    assert layer.vocabulary[2:] == ["the", "dog"]
    assert layer.vectors(["The"])[0, 0] == 0.5
    assert layer.similarity("THE", "dog") < 1
    assert not WordEmbedding("glove-6b-50d", lowercase=False).tokenizer.lowercase
    with pytest.raises(ValueError, match="1 words of the vocabulary are never met: The"):
        WordEmbedding("glove-6b-50d", vocabulary=["the", "The"])
    assert (tmp_path / "home" / ".word-vectors").is_dir()
    place(tmp_path / "home", "glove-6b-100d", "glove.6B.100d.txt", 50)
    with pytest.raises(CheckpointError, match=r"vectors of 50 values\. Expected 100"):
        WordEmbedding("glove-6b-100d")
    with pytest.raises(ValueError, match=r"glove\.6B\.200d\.txt"):
        WordEmbedding("glove-6b-200d")
    with pytest.raises(ValueError, match="Expected family 'word-vectors'"):
        WordEmbedding("bert-base")


def test_random_vectors_of_a_published_size() -> None:
    preset = preset_info("glove-twitter-25d")
    layer = WordEmbedding(preset, weights=None, vocabulary=["the", "dog"], trainable_from=0)
    assert layer.architecture.hidden_size == 25
    assert layer.table().shape == (4, 25)
    assert layer.load_report is None
    assert layer.tokenizer.lowercase
    bare = WordEmbedding(architecture={"vocabulary_size": 9, "hidden_size": 3})
    assert to_numpy(bare(IDS % 9)).shape == (2, 5, 3)
    with pytest.raises(ValueError, match="has no vocabulary"):
        bare.vocabulary  # noqa: B018
    tokenizer = WhitespaceTokenizer(["a", "b"])
    assert WordEmbedding(architecture=SIZES, tokenizer=tokenizer).vectors(["b"]).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"either a `source` .* or an `architecture`.*Received: neither"),
        ({"source": GLOVE, "architecture": {}}, "Received: both"),
        (
            {"source": GLOVE, "out_of_vocabulary": "none"},
            r"one of 'zero', 'mean', 'random'",
        ),
        ({"source": GLOVE, "pooling": "pooler"}, "needs the original pooler"),
        ({"source": GLOVE, "pooling": "sum"}, r"`pooling` must be one of"),
        ({"source": GLOVE, "max_words": 0}, "at least one.*Received: max_words=0"),
        ({"source": GLOVE, "max_words": 5, "vocabulary": ["a"]}, "and a vocabulary"),
        ({"source": GLOVE, "vocabulary": ["a", "a"]}, "holds 'a' twice"),
        ({"source": GLOVE, "vocabulary": ["a", ""]}, r"vocabulary\[1\] is ''"),
        ({"source": GLOVE, "vocabulary": ["[UNK]", "a"]}, "the words count from 2"),
        ({"source": GLOVE, "vocabulary": ["a", 3]}, r"vocabulary\[1\] must be a str"),
        ({"source": GLOVE, "vocabulary": "nowhere.txt"}, "does not exist"),
        ({"source": GLOVE, "weights": None}, "needs a preset or an `architecture`"),
        ({"source": GLOVE, "trainable_from": 2}, "Invalid value for `trainable_from`"),
        ({"source": "no-such-vectors"}, "Unknown preset"),
        ({"architecture": {"vocabulary_size": 1, "hidden_size": 3}}, "must be at least 2"),
        (
            {"architecture": SIZES, "max_words": 3},
            "of a `source`",
        ),
    ],
    ids=str,
)
def test_wrong_arguments_say_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        WordEmbedding(**options)


def test_wrong_ids_say_what_was_expected() -> None:
    layer = WordEmbedding(GLOVE)
    with pytest.raises(ValueError, match=r"integer token_ids of shape \(batch, length\)"):
        layer(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match="segment_ids"):
        layer({"token_ids": IDS, "segment_ids": IDS})
    with pytest.raises(ValueError, match=r"takes token_ids from 0 to \d+\. Received: -1 to -1"):
        layer(np.full((1, 2), -1))
    with pytest.raises(TypeError, match=r"takes a list of words. Received: the str 'the'"):
        layer.vectors("the")
