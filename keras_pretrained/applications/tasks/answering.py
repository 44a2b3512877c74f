"""Questions on texts as rows of tokens, and answers from the numbers that a network gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.applications.tasks.squad import Answer, QuestionExample
from keras_pretrained.applications.tasks.text_pieces import TextPieces, read_pieces
from keras_pretrained.applications.tasks.windows import piece_windows
from keras_pretrained.tokenizers.packing import buckets

NO_ANSWER = 0
"""The place of the first token, which stands for "no answer"."""
_QUESTION = -2


@dataclass(frozen=True)
class Windowing:
    """How a question and a long context become rows.

    Attributes:
        max_length: tokens of a row.
        stride: tokens from the begin of a window to that of the next.
        question_length: tokens at which a question is cut.
    """

    max_length: int
    stride: int
    question_length: int


@dataclass(frozen=True)
class AnswerRows:
    """Questions as rows, the windows of a context one behind the other.

    Attributes:
        arrays: what the tokenizer gives, (rows, length).
        examples: (rows,), the number of each row's question.
        tokens: (rows, length), which token of its context stands there; negative elsewhere.
        contexts: of each question.
    """

    arrays: dict[str, np.ndarray]
    examples: np.ndarray
    tokens: np.ndarray
    contexts: list[TextPieces]

    def targets(self, answers: Sequence[Answer | None]) -> np.ndarray:
        """int32 (rows, 2): the places where each question's answer begins and ends.

        Args:
            answers: one a question, None where there is none. A window that does not hold the
                whole answer has none.

        Raises:
            ValueError: an answer of characters that are no tokens.
        """
        covered = [
            None if answer is None else _covered(context, answer)
            for answer, context in zip(answers, self.contexts, strict=True)
        ]
        found = np.full((len(self.examples), 2), NO_ANSWER, np.int32)
        for row, (tokens, number) in enumerate(zip(self.tokens, self.examples, strict=True)):
            span = covered[number]
            places = [np.flatnonzero(tokens == token) for token in span or ()]
            if places and all(map(len, places)):
                found[row] = np.concatenate(places)
        return found


def answer_rows(
    tokenizer: Any, examples: Sequence[QuestionExample], windowing: Windowing
) -> AnswerRows:
    """Rows of `first-token question context`, as many a question as its context needs.

    Raises:
        ValueError: rows that are too short, or do not begin with a token of their own.
    """
    texts = list(dict.fromkeys(text for each in examples for text in (each.question, each.context)))
    known = dict(zip(texts, read_pieces(tokenizer, texts), strict=True))
    limit = min(windowing.max_length, tokenizer.max_length)
    special = tokenizer.max_length - tokenizer.room(is_pair=True)
    room = limit - special
    if room < 2:
        raise ValueError(
            f"`max_length` must be at least {special + 2}: a question and a context have {special} "
            f"special tokens. Received: {limit}"
        )
    questions, parts, marks, owners = [], [], [], []
    for number, example in enumerate(examples):
        context = known[example.context].ids
        # A context has half of a short row.
        question = known[example.question].ids[: min(windowing.question_length, room // 2)]
        for begin, end in piece_windows(len(context), room - len(question), windowing.stride):
            questions.append(question)
            parts.append(context[begin:end])
            marks.append(np.arange(begin, end, dtype=np.int32))
            owners.append(number)
    before = [np.full_like(question, _QUESTION) for question in questions]
    longest = special + max(
        (len(a) + len(b) for a, b in zip(questions, parts, strict=True)), default=0
    )
    length = next(length for length in buckets(limit) if length >= longest)
    made = tokenizer.pack_pieces(questions, parts, words=(before, marks), pad_to=length)
    tokens = made.pop("word_ids")
    if len(tokens) and (tokens[:, NO_ANSWER] != -1).any():
        raise ValueError(
            "Answering questions needs a row that begins with a token of its own, such as [CLS], "
            f"which stands for 'no answer'. {type(tokenizer).__name__} has none."
        )
    contexts = [known[example.context] for example in examples]
    return AnswerRows(made, np.array(owners, int), tokens, contexts)


class Candidates:
    """The best answers to one question, from all windows of its context.

    Args:
        n_best: how many starts and ends of a window are tried.
        max_answer_length: tokens of an answer.
    """

    def __init__(self, n_best: int, max_answer_length: int) -> None:
        self._n_best = n_best
        self._max_length = max_answer_length
        self._scores: dict[tuple[int, int], float] = {}
        self._none = np.inf

    def add(self, logits: np.ndarray, tokens: np.ndarray) -> None:
        """A window: its logits (2, length), and which tokens of the context stand there."""
        self._none = min(self._none, float(logits[:, NO_ANSWER].sum()))
        places = np.flatnonzero(tokens >= 0)
        starts, ends = (
            places[np.argsort(-side[places], kind="stable")[: self._n_best]] for side in logits
        )
        scores = logits[0][starts][:, None] + logits[1][ends][None]
        lengths = ends[None] - starts[:, None] + 1
        for i, j in zip(*np.nonzero((lengths > 0) & (lengths <= self._max_length)), strict=True):
            span = int(tokens[starts[i]]), int(tokens[ends[j]])
            self._scores[span] = max(float(scores[i, j]), self._scores.get(span, -np.inf))

    def answers(
        self, context: str, pieces: TextPieces, none_threshold: float | None
    ) -> list[Answer]:
        """Best first; the probabilities are among these.

        Args:
            none_threshold: how much more than the best answer "no answer" must score to come
                first; None where every question has an answer.
        """
        best = sorted(self._scores.items(), key=lambda item: -item[1])[: self._n_best]
        found = [(score, score, _part(context, pieces, span)) for span, score in best]
        if none_threshold is not None or not found:
            found.append((self._none - (none_threshold or 0.0), self._none, Answer("", None)))
        weights = np.exp(np.array([score for _, score, _ in found]) - max(s for _, s, _ in found))
        weights /= weights.sum()
        ranked = [
            (rank, Answer(answer.text, answer.start, float(weight)))
            for (rank, _, answer), weight in zip(found, weights, strict=True)
        ]
        return [answer for _, answer in sorted(ranked, key=lambda pair: -pair[0])]


def _part(context: str, pieces: TextPieces, span: tuple[int, int]) -> Answer:
    start, end = int(pieces.starts[span[0]]), int(pieces.ends[span[1]])
    return Answer(context[start:end], start)


def _covered(context: TextPieces, answer: Answer) -> tuple[int, int]:
    span = None
    if answer.start is not None and answer.text:
        span = context.covering(answer.start, answer.start + len(answer.text))
    if span is None:
        raise ValueError(f"The answer {answer.text!r} holds no token of its context.")
    return span
