"""MaskedLanguageModel: what is masked, what it learns of that, and how it fills gaps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export, finetune
from keras_pretrained.applications import MaskedLanguageModel, TextClassifier
from keras_pretrained.applications.tasks.gaps import rows_with_gaps
from keras_pretrained.applications.tasks.masking import Masking
from keras_pretrained.layers import (
    AlbertEncoder,
    BertEncoder,
    DistilBertEncoder,
    ElectraEncoder,
    GPT2Decoder,
    RobertaEncoder,
)
from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.applications.tasks.toys import JIT, LETTERS, PIECES, letters_bert, on_tensorflow
from tests.layers.relatives import GOLDENS
from tests.layers.toys import make_encoder
from tests.parity.recording import Record

SIZES = {
    "vocabulary_size": len(PIECES),
    "hidden_size": 32,
    "intermediate_size": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
NETWORKS = {
    "bert_hf/erf": BertEncoder,
    "roberta/hf": RobertaEncoder,
    "distilbert/masked_lm": DistilBertEncoder,
    "albert_hf/pretraining": AlbertEncoder,
    "electra_hf/generator": ElectraEncoder,
}
GAPS = ["a [MASK] c", "[MASK] b [MASK]"]


def make(**options: Any) -> MaskedLanguageModel:
    return MaskedLanguageModel(letters_bert(), **options)


def in_order(count: int, seed: int = 0) -> list[str]:
    """Texts of eight letters in the order of the alphabet, which begin anywhere."""
    starts = np.random.default_rng(seed).integers(0, 8, count)
    return [" ".join((LETTERS * 2)[start : start + 8]) for start in starts]


# --- masking ----------------------------------------------------------------------------------


def test_shares_of_masks_others_and_originals() -> None:
    tokenizer = WordPieceTokenizer(PIECES)
    masking = Masking(tokenizer, rate=0.2)
    ids = tokenizer(in_order(1) * 4000)
    token_ids = ids["token_ids"]
    maskable = masking.maskable(token_ids, ids["padding_mask"])
    assert maskable[:, 1:-1].all()
    assert not maskable[:, [0, -1]].any()
    seen, chosen = masking.apply(token_ids, maskable, np.random.default_rng(1))
    assert not (chosen & ~maskable).any()
    # 20 % of eight letters, rounded.
    np.testing.assert_array_equal(chosen.sum(axis=1), 2)
    np.testing.assert_allclose(chosen.mean(axis=0)[1:-1], 0.25, atol=0.03)
    np.testing.assert_array_equal(seen[~chosen], token_ids[~chosen])
    masks = seen[chosen] == tokenizer.mask_id
    same = seen[chosen] == token_ids[chosen]
    # A random token is the mask, or the original, once in all the vocabulary.
    once = 0.1 / len(PIECES)
    assert masks.mean() == pytest.approx(0.8 + once, abs=0.015)
    assert same.mean() == pytest.approx(0.1 + once, abs=0.015)
    others = seen[chosen][~masks & ~same]
    assert len(np.unique(others)) == len(PIECES) - 1


def test_whole_words_are_masked_together() -> None:
    tokenizer = WordPieceTokenizer(PIECES)
    masking = Masking(tokenizer, rate=0.3, whole_words=True)
    ids = tokenizer(["abc d ef g", "abcdefgh", "a"])
    maskable = masking.maskable(ids["token_ids"], ids["padding_mask"])
    words = [[[1, 2, 3], [4], [5, 6], [7]], [[*range(1, 9)]], [[1]]]
    random = np.random.default_rng(0)
    met = set()
    for _ in range(50):
        _, chosen = masking.apply(ids["token_ids"], maskable, random)
        for row, own in zip(chosen, words, strict=True):
            taken = [word for word in own if row[word[0]]]
            places = sorted(place for word in taken for place in word)
            assert places == np.flatnonzero(row).tolist()
        met.add(tuple(np.flatnonzero(chosen[0])))
        # 30 % of seven tokens are two; the second text has but one word, which is taken.
        assert len(np.flatnonzero(chosen[0])) in (1, 2, 3)
        assert chosen[1].sum() == 8
    assert {(4, 7), (1, 2, 3), (5, 6)} <= met
    with pytest.raises(ValueError, match=r"`mask_rate` must lie between 0 and 1\. Received: 15"):
        make(mask_rate=15)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("roberta/hf", "an in the end", ["an", " in", " the", " end"]),
        ("albert_hf/pretraining", "an in the end", ["an", "in", "the", "end"]),
    ],
)
def test_words_of_other_tokenizers(name: str, text: str, words: list[str]) -> None:
    tokenizer = NETWORKS[name](GOLDENS / name).tokenizer
    masking = Masking(tokenizer, rate=0.01, whole_words=True)
    ids = tokenizer([text])
    maskable = masking.maskable(ids["token_ids"], ids["padding_mask"])
    random, met = np.random.default_rng(0), set()
    for _ in range(40):
        _, chosen = masking.apply(ids["token_ids"], maskable, random)
        met.add(tokenizer.decode(ids["token_ids"][chosen].tolist()))
    assert met == set(words)


def test_batches_of_training_and_of_comparison() -> None:
    model, texts = make(), in_order(6)
    batches = model.batches(texts, batch_size=4, training=True)
    epochs = []
    for _ in range(2):
        made = [batches[number] for number in range(len(batches))]
        again = [batches[number] for number in range(len(batches))]
        for (one, _, first), (two, _, second) in zip(made, again, strict=True):
            np.testing.assert_array_equal(one["token_ids"], two["token_ids"])
            np.testing.assert_array_equal(first, second)
        for inputs, targets, weights in made:
            assert inputs["token_ids"].shape == targets.shape == weights.shape == (4, 12)
            hidden = inputs["token_ids"] != targets
            assert not (hidden & (weights == 0)).any()
        # Two rows fill the second batch up.
        assert sum((weights.sum(axis=1) > 0).sum() for _, _, weights in made) == 6
        epochs.append(np.concatenate([weights for _, _, weights in made]))
        batches.on_epoch_end()
    assert not np.array_equal(*epochs)
    weighted = model.batches(texts, None, [2.0] * 6, batch_size=6)
    for batch in (weighted, model.batches(texts, batch_size=6)):
        batch.on_epoch_end()
    twice, once = weighted[0], model.batches(texts, batch_size=6)[0]
    np.testing.assert_array_equal(twice[0]["token_ids"], once[0]["token_ids"])
    np.testing.assert_array_equal(twice[2], 2 * once[2])


# --- training ---------------------------------------------------------------------------------


def test_it_learns_what_stands_between_its_neighbours() -> None:
    tokenizer = WordPieceTokenizer(PIECES, max_length=12)
    encoder = make_encoder(
        BertEncoder, {**SIZES, "num_layers": 2, "initializer_range": 0.1}, tokenizer=tokenizer
    )
    model = MaskedLanguageModel(encoder)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=JIT)
    before = model.evaluate(in_order(200, seed=1), verbose=0, return_dict=True)
    history = model.fit(
        in_order(512), epochs=16, verbose=0, validation_data=in_order(64, seed=2)
    ).history
    assert {"val_loss", "val_accuracy", "val_perplexity"} <= set(history)
    after = model.evaluate(in_order(200, seed=1), verbose=0, return_dict=True)
    # Eight letters are equally frequent: who knows no order is right once in eight times.
    assert before["perplexity"] > 8
    assert after["perplexity"] < 2.5
    assert after["accuracy"] > 0.75
    gaps = ["c d [MASK] f g h a b", "[MASK] h a b c d e f"]
    assert model.fill(gaps) == ["c d e f g h a b", "g h a b c d e f"]
    ((best, *_),), *_ = model.predict(gaps, top=3)
    assert best[0] == "e"
    assert best[1] > 0.5


def test_the_loss_is_of_masked_places_alone() -> None:
    model, texts = make(), [*in_order(5), "a b"]
    model.compile("sgd", jit_compile=JIT)
    found = model.evaluate(texts, batch_size=6, verbose=0, return_dict=True)
    inputs, targets, weights = model.batches(texts, batch_size=6)[0]
    logits = model.predict(inputs, verbose=0).astype("float64")
    logits -= logits.max(axis=-1, keepdims=True)
    surprise = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
        logits, targets[..., None], -1
    ).squeeze(-1)
    expected = surprise[weights > 0].mean()
    assert weights.sum() == 6
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(expected), rel=1e-5)
    assert found["accuracy"] == (logits.argmax(-1) == targets)[weights > 0].mean()
    # The same masks each time.
    assert model.evaluate(texts, batch_size=6, verbose=0, return_dict=True) == found


def test_depth_plan_and_the_tied_table() -> None:
    model = MaskedLanguageModel(letters_bert(num_layers=2, trainable_from=1))
    frozen = [*model.backbone.embeddings.weights, *model.backbone.blocks[0].weights]
    before = [keras.ops.convert_to_numpy(each) for each in frozen]
    bias = model.get_layer("masked_lm_head").bias
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    model.fit(in_order(8), verbose=0)
    for old, new in zip(before, frozen, strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(bias).max() > 0
    # With many texts, and unlike the original's, everything trains.
    model.fit(in_order(8), plan=finetune.plan(5000, "low", model), epochs=1, verbose=0)
    assert np.abs(np.asarray(model.backbone.embeddings.word_embeddings) - before[0]).max() > 0


# --- gaps -------------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("name", NETWORKS)
def test_gaps_are_filled_as_the_original_fills_them(name: str, parity: Record) -> None:
    golden = json.loads((GOLDENS / "masked_lm" / "golden.json").read_text(encoding="utf-8"))
    expected = golden["networks"][name]
    model = MaskedLanguageModel(NETWORKS[name](GOLDENS / name))
    measured = parity("masked-lm/gaps")
    rows = rows_with_gaps(model.tokenizer, expected["texts"])
    ids = zip(rows["token_ids"], rows["padding_mask"], strict=True)
    assert [row[mask == 1].tolist() for row, mask in ids] == expected["token_ids"]
    found = model.predict(expected["texts"], batch_size=4)
    for ours, theirs in zip(found, expected["gaps"], strict=True):
        for gap, original in zip(ours, theirs, strict=True):
            words = [model.tokenizer.decode([token]).strip() for token, _ in original]
            assert [word for word, _ in gap] == words
            measured.close(
                "probabilities", [share for _, share in gap], [share for _, share in original]
            )


def test_answers_are_in_the_order_of_texts_and_gaps() -> None:
    model = make()
    texts = ["[MASK] a b c d e f g", *GAPS, "a b c d e f g h [MASK]", "[MASK]"]
    found = model.predict(texts, batch_size=2, top=len(PIECES))
    assert [len(gaps) for gaps in found] == [1, 1, 2, 1, 1]
    for text, gaps in zip(texts, found, strict=True):
        for ours, alone in zip(gaps, model.predict([text], top=len(PIECES))[0], strict=True):
            shares = [share for _, share in ours]
            assert shares == sorted(shares, reverse=True)
            # The table has two rows more than the vocabulary has pieces.
            assert 0.5 < sum(shares) < 1
            np.testing.assert_allclose(shares, [share for _, share in alone], atol=1e-6)
    (one,) = model.fill(["a [MASK] c"])
    ((best,),) = ([gap[0][0] for gap in gaps] for gaps in model.predict(["a [MASK] c"]))
    assert one == (f"a{best[2:]} c" if best.startswith("##") else f"a {best} c")


def test_errors_say_what_to_do() -> None:
    model = make()
    with pytest.raises(ValueError, match=r"one \[MASK\] or more.*Text 1 has none: 'a b'"):
        model.predict(["[MASK]", "a b"])
    with pytest.raises(ValueError, match=r"within 12 tokens. Text 0 has 0 of 1"):
        model.predict(["a " * 12 + "[MASK]"])
    with pytest.raises(ValueError, match="learns from texts alone"):
        model.fit(["a b"], ["yes"])
    with pytest.raises(ValueError, match=r"takes texts\. Received: pairs"):
        model.fit([("a", "b")])
    with pytest.raises(ValueError, match="1 texts and 2 weights"):
        model.fit(["a"], sample_weight=[1, 2])
    with pytest.raises(ValueError, match="Expected at least one text"):
        model.fit([])
    with pytest.raises(ValueError, match=r"hidden_layers=-1. Received: layer .* hidden_layers=0"):
        MaskedLanguageModel(letters_bert(hidden_layers=0))
    with pytest.raises(ValueError, match="one vector a token"):
        MaskedLanguageModel(letters_bert(pooling="cls"))
    with pytest.raises(ValueError, match=r"encoder of BERT's kind.* Received: GPT2Decoder"):
        MaskedLanguageModel(make_encoder(GPT2Decoder))


# --- a Keras model like any other -------------------------------------------------------------

RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
print(model.fill(["a [MASK] c"]), model.mask_token, model.load_report, model.compiled)
ids = model.tokenizer(["a b c"])
numpy.save(sys.argv[2], model.predict(ids, verbose=0))
"""


def test_a_fresh_process_reloads_it(tmp_path: Path) -> None:
    model = MaskedLanguageModel(BertEncoder(GOLDENS / "bert_hf" / "erf"), mask_rate=0.3)
    model.compile(jit_compile=JIT)
    model.fit(["a b c", "the and"], verbose=0)
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", RELOAD, tmp_path / "model.keras", tmp_path / "found.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    filled = model.fill(["a [MASK] c"])
    assert done.stdout.splitlines()[-1] == f"{filled} [MASK] None True"
    expected = model.predict(model.tokenizer(["a b c"]), verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)
    assert model.get_config()["mask_rate"] == 0.3


@on_tensorflow
def test_exported_models_take_texts_or_ids(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    model = make()
    ids = model.tokenizer(["a b", "c d"])
    expected = model.predict(ids, verbose=0)
    export.to_saved_model(model, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    (found,) = served.serve({"texts": tf.constant(["a b", "c d"])}).values()
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, atol=1e-5)
    export.to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    fed = {each.name: ids[each.name] for each in session.get_inputs()}
    np.testing.assert_allclose(session.run(None, fed)[0], expected, atol=1e-5)


def test_the_adapted_encoder_goes_into_a_classifier_and_a_file(tmp_path: Path) -> None:
    model = MaskedLanguageModel(GOLDENS / "bert_hf" / "erf")
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    model.fit(["a b c", "the and"], verbose=0)
    encoder = model.backbone.with_options(pooling="pooler", trainable_from=1)
    classifier = TextClassifier(encoder, 2)
    assert (classifier.backbone.pooling, classifier.trainable_from) == ("pooler", 1)
    ids = model.tokenizer(["a b c"])
    states = model.backbone.features(ids)["hidden_states"]
    np.testing.assert_array_equal(encoder.features(ids)["hidden_states"][-1], states[-1])
    model.backbone.save_weights_as(tmp_path / "adapted")
    again = MaskedLanguageModel(tmp_path / "adapted")
    np.testing.assert_array_equal(again.backbone.features(ids)["hidden_states"][-1], states[-1])
    assert again.load_report.new
