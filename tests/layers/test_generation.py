"""Continuations: cache, padding, stopping, sampling, arguments."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import GPT2Decoder
from keras_pretrained.layers.text.sampling import Sampling, highest
from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from tests.layers.layer_test import to_numpy
from tests.layers.test_gpt2 import GOLDENS, make

PROMPTS = np.array([[5, 9, 2, 7], [3, 8, 1, 4]], "int32")


def greedy(decoder: GPT2Decoder, ids: np.ndarray, count: int) -> np.ndarray:
    """Token by token, without a cache; the zeros behind a token do not change its logits."""
    length = ids.shape[1]
    ids = np.pad(ids, [(0, 0), (0, count)])
    for end in range(length, length + count):
        ids[:, end] = to_numpy(decoder.features(ids)["logits"])[:, end - 1].argmax(-1)
    return ids


def test_the_cache_changes_nothing() -> None:
    decoder = make({"max_positions": 24})
    expected = greedy(decoder, PROMPTS, 12)
    found = decoder.generate(PROMPTS, 12, temperature=None)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX always compiles")
def test_without_xla() -> None:
    decoder = make({"max_positions": 24}, jit_compile=False)
    expected = greedy(decoder, PROMPTS, 6)
    np.testing.assert_array_equal(decoder.generate(PROMPTS, 6, temperature=None), expected)
    assert decoder.generate(PROMPTS, 6, top_k=3, top_p=0.9, seed=1).shape == expected.shape


def test_prompts_of_different_lengths() -> None:
    """Padding on either side; more padding is added for the bucket."""
    decoder = make({"max_positions": 24})
    long, short = PROMPTS[:1], PROMPTS[1:, :2]
    expected = [greedy(decoder, row, 6)[0] for row in (long, short)]
    for side in ("left", "right"):
        ids, mask = np.zeros((2, 4), "int32"), np.ones((2, 4), "int32")
        ids[0] = long
        ids[1, slice(2, 4) if side == "left" else slice(0, 2)] = short
        mask[1, slice(0, 2) if side == "left" else slice(2, 4)] = 0
        found = decoder.generate(ids, 6, temperature=0, padding_mask=mask)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1, 2:], expected[1])


def test_prompts_of_every_kind() -> None:
    import tensorflow as tf

    tokenizer = ByteLevelBPETokenizer.from_folder(GOLDENS / "openai")
    changes = {"max_positions": 24, "vocabulary_size": tokenizer.vocabulary_size}
    decoder = make(changes, tokenizer=tokenizer, jit_compile=False)

    def continued(prompts: Any) -> Any:
        return decoder.generate(prompts, 2, temperature=0)

    texts = ["The dog", "a"]
    found = continued(texts)
    assert all(new.startswith(text) for new, text in zip(found, texts, strict=True))
    for prompts in (np.array(texts), np.array(texts, object), tf.constant(texts), tuple(texts)):
        assert continued(prompts) == found
    assert continued(texts[0]) == continued(texts[0].encode()) == found[0]
    ids = tokenizer(texts, pad_side="left")
    expected = decoder.generate(
        ids["token_ids"], 2, temperature=0, padding_mask=ids["padding_mask"]
    )
    np.testing.assert_array_equal(continued(ids), expected)


def test_stop() -> None:
    decoder = make({"max_positions": 24}, jit_compile=False)
    whole = decoder.generate(PROMPTS, 10, temperature=0)
    new = whole[:, 4:]
    stop = int(new[0, 2])
    first = [int(np.argmax(row == stop)) if stop in row else 9 for row in new]
    found = decoder.generate(PROMPTS, 10, temperature=0, stop=stop)
    assert found.shape[1] == 4 + max(first) + 1
    for row, end in enumerate(first):
        np.testing.assert_array_equal(found[row, 4 : 5 + end], new[row, : end + 1])
        if end < 9:
            assert (found[row, 4 + end :] == stop).all()
    several = decoder.generate(PROMPTS, 10, temperature=0, stop=[stop, int(new[1, 0])])
    assert several.shape[1] <= found.shape[1]


def test_seeds() -> None:
    decoder = make({"max_positions": 24}, jit_compile=False)
    one, same, other = (decoder.generate(PROMPTS, 12, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert decoder.generate(PROMPTS, 2).shape == (2, 6)


def test_texts_in_texts_out() -> None:
    decoder = GPT2Decoder(GOLDENS / "openai", jit_compile=False)
    found = decoder.generate(["The dog", "a"], 5, temperature=0, stop=())
    assert [text.startswith(start) for text, start in zip(found, ["The dog", "a"], strict=True)]
    alone = decoder.generate("a", 5, temperature=0, stop=())
    assert alone == found[1]
    ids = decoder.tokenizer(["a"])["token_ids"]
    again = decoder.generate(ids, 5, temperature=0, stop=())
    assert decoder.tokenizer.decode(again[0]) == alone


# --- sampling --------------------------------------------------------------------------------


def reference(logits: np.ndarray, temperature: float, k: int | None, p: float | None) -> np.ndarray:
    """The probabilities of one row, in double precision."""
    scaled = logits.astype("float64") / temperature
    order = np.argsort(-scaled)
    kept = order[: k or len(order)]
    weights = np.exp(scaled[kept] - scaled[kept].max())
    weights /= weights.sum()
    if p is not None:
        count = int(np.searchsorted(np.cumsum(weights), p) + 1)
        kept, weights = kept[:count], weights[:count] / weights[:count].sum()
    full = np.zeros_like(scaled)
    full[kept] = weights
    return full


@pytest.mark.parametrize("k", [None, 1, 5])
@pytest.mark.parametrize("p", [None, 0.3, 0.9])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_probabilities(k: int | None, p: float | None, temperature: float) -> None:
    logits = np.random.default_rng(7).normal(0, 2, (4, 30)).astype("float32")
    sampling = Sampling(temperature, k, p)
    found = to_numpy(sampling.probabilities(keras.ops.convert_to_tensor(logits)))
    for row, ours in zip(logits, found, strict=True):
        np.testing.assert_allclose(ours, reference(row, temperature, k, p), atol=1e-6)


def test_the_limits_are_exact_in_a_whole_vocabulary() -> None:
    """Also for logits far apart, for equal ones, and for zeros of either sign."""
    random = np.random.default_rng(11)
    rows = random.normal(0, 3, (4, 50_257)).astype("float32")
    rows[1] = random.permutation(np.geomspace(1e-30, 1e30, 50_257).astype("float32"))
    rows[2] = -rows[1]
    rows[3] = np.where(random.random(50_257) < 0.5, 0.0, -0.0)
    logits, ones = keras.ops.convert_to_tensor(rows), np.ones(rows.shape, "int32")
    for k in (1, 40, 50_256):
        found = to_numpy(highest(logits, ones, k))
        lowest = np.sort(rows, axis=-1)[:, -k, None]
        np.testing.assert_array_equal(found[:3], (rows >= lowest)[:3])
        assert found[:3].sum(axis=-1).tolist() == [k] * 3
        assert found[3].sum() >= k
    likely = keras.ops.softmax(logits, axis=-1)
    count, one = to_numpy(highest(logits, likely, 0.7)).sum(axis=-1)[:2]
    ordered = np.sort(rows[0].astype("float64"))[::-1]
    weights = np.exp(ordered - ordered[0])
    assert abs(count - np.searchsorted(np.cumsum(weights / weights.sum()), 0.7) - 1) <= 1
    assert one == 1


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    logits = np.random.default_rng(3).normal(0, 1.5, (1, 12)).astype("float32")
    sampling, count = Sampling(0.8, top_k=9), 20_000
    uniform = np.random.default_rng(5).random(count, dtype="float32")
    tokens = to_numpy(sampling.choose(np.repeat(logits, count, axis=0), uniform))
    expected = reference(logits[0], 0.8, 9, None)
    observed = np.bincount(tokens, minlength=12)
    assert observed[expected == 0].sum() == 0
    drawn = expected > 0
    squares = (observed[drawn] - count * expected[drawn]) ** 2 / (count * expected[drawn])
    # Eight degrees of freedom: one seed in a thousand would lie above.
    assert squares.sum() < 26.1
    for edge in (0.0, np.nextafter(np.float32(1), np.float32(0))):
        (token,) = to_numpy(sampling.choose(logits, np.array([edge], "float32")))
        assert expected[token] > 0


# --- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (PROMPTS, {"max_new_tokens": 0}, "`max_new_tokens` must be"),
        (PROMPTS, {"max_new_tokens": 9}, r"has 12 positions.*4 tokens and max_new_tokens=9.*8 tok"),
        (PROMPTS, {"temperature": -1}, "`temperature` must be"),
        (PROMPTS, {"top_k": 0}, "`top_k` must be"),
        (PROMPTS, {"top_p": 1.5}, "`top_p` must lie"),
        (PROMPTS, {"stop": 999}, "`stop` must be ids"),
        (PROMPTS, {"padding_mask": np.ones((2, 3))}, "`padding_mask` must have the shape"),
        (PROMPTS, {"padding_mask": np.zeros((2, 4))}, "none in row 0"),
        (PROMPTS + 100, {}, "takes token_ids from 0 to 22.*Received: 101 to 109"),
        (PROMPTS[0], {}, r"shape \(batch, length\)"),
        (PROMPTS.astype("float32"), {}, "integer ids"),
        ([[1, 2, 3], [1]], {}, r"must have one length.*Received: \[\[1, 2, 3\], \[1\]\]"),
        ([], {}, "at least one text"),
        ({"token_ids": PROMPTS, "segment_ids": PROMPTS}, {}, "Received: token_ids, segment_ids"),
        ({"token_ids": PROMPTS}, {"padding_mask": PROMPTS}, "and padding_mask besides"),
        (PROMPTS, {"seed": -1}, "`seed` must be an int from 0 on"),
        ("a text", {}, "has no vocabulary"),
    ],
    ids=str,
)
def test_wrong_arguments(prompts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().generate(prompts, **{"max_new_tokens": 4, **options})
