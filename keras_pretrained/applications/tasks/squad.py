"""Questions on texts, and the files in which SQuAD stores them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_pretrained.presets import read_json

_LIMIT = 2**30


@dataclass(frozen=True)
class Answer:
    """A part of a context, or nothing.

    Attributes:
        text: exactly as it stands in the context; `""` where the context has no answer.
        start: the character at which it begins; None where there is no answer.
        probability: of a prediction, among the best ones.
    """

    text: str
    start: int | None
    probability: float = 1.0

    @property
    def end(self) -> int | None:
        """The character behind the last one."""
        return None if self.start is None else self.start + len(self.text)


@dataclass(frozen=True)
class QuestionExample:
    """A question on a text.

    Attributes:
        question, context: texts.
        answers: the right answers, the first of which is trained on; empty where the context has
            none (SQuAD 2.0); None where they are not known.
        id: of the question in its data set.
    """

    question: str
    context: str
    answers: tuple[Answer, ...] | None = None
    id: str = ""

    def __post_init__(self) -> None:
        for answer in self.answers or ():
            start = answer.start
            if start is None or self.context[start : start + len(answer.text)] != answer.text:
                raise ValueError(
                    f"Question {self.id or self.question!r}: the answer {answer.text!r} does not "
                    f"begin at character {start} of its context. Expected its exact text and place."
                )


def read_squad(path: str | os.PathLike[str]) -> list[QuestionExample]:
    """The questions in a file of SQuAD 1.1 or 2.0, or of any data set in that form.

    Args:
        path: a JSON file, such as `train-v1.1.json` or `dev-v2.0.json`.

    Raises:
        SourceError: not a JSON file, or one of more than a gibibyte.
        ValueError: another form; the message names the place in the file.
    """
    content = read_json(path, _LIMIT, "data set")
    found = []
    for place, article in _each(content, "data", str(path)):
        for inner, paragraph in _each(article, "paragraphs", place):
            context = _text(paragraph, "context", inner)
            for innermost, question in _each(paragraph, "qas", inner):
                found.append(example_of({**question, "context": context}, innermost))
    return found


def example_of(item: Any, place: str) -> QuestionExample:
    """An example from what people have: a pair of texts, or a dictionary as data sets store it.

    Args:
        item: a `QuestionExample`; `(question, context)`; or a mapping with `question`, `context`
            and perhaps `answers` (a list of `{"text", "answer_start"}`, or such a dictionary of
            lists), `is_impossible` and `id`.
        place: where it stands, for messages.

    Raises:
        ValueError: something else, or an answer that does not stand where it should.
    """
    if isinstance(item, QuestionExample):
        return item
    if isinstance(item, tuple | list) and len(item) == 2:
        item = {"question": item[0], "context": item[1]}
    if not isinstance(item, Mapping):
        raise ValueError(
            f"{place}: expected (question, context), a dictionary of both, or a QuestionExample. "
            f"Received: {item!r}"
        )
    return QuestionExample(
        _text(item, "question", place),
        _text(item, "context", place),
        () if item.get("is_impossible") is True else _answers(item.get("answers"), place),
        str(item.get("id", "")),
    )


def _answers(stored: Any, place: str) -> tuple[Answer, ...] | None:
    if stored is None:
        return None
    if isinstance(stored, Mapping):
        columns = [stored.get("text"), stored.get("answer_start")]
        if not all(isinstance(column, Sequence) for column in columns):
            raise ValueError(f"{place}: expected lists `text` and `answer_start`.")
        stored = [{"text": a, "answer_start": b} for a, b in zip(*columns, strict=True)]
    if isinstance(stored, str) or not isinstance(stored, Sequence):
        raise ValueError(f"{place}: expected a list of answers. Received: {stored!r}")
    return tuple(_answer(each, f"{place}, answer {number}") for number, each in enumerate(stored))


def _answer(stored: Any, place: str) -> Answer:
    if isinstance(stored, Answer):
        return stored
    start = stored.get("answer_start") if isinstance(stored, Mapping) else None
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise ValueError(
            f"{place}: expected `text` and `answer_start`, a number of characters. "
            f"Received: {stored!r}"
        )
    return Answer(_text(stored, "text", place), start)


def _each(parent: Mapping[str, Any], key: str, place: str) -> list[tuple[str, Mapping[str, Any]]]:
    stored = parent.get(key)
    if not isinstance(stored, list) or not all(isinstance(each, dict) for each in stored):
        raise ValueError(
            f"{place}: expected a list of objects under {key!r}, as SQuAD has it. "
            f"Received: {type(stored).__name__}"
        )
    return [(f"{place}: {key}[{number}]", each) for number, each in enumerate(stored)]


def _text(parent: Mapping[str, Any], key: str, place: str) -> str:
    stored = parent.get(key)
    if not isinstance(stored, str):
        raise ValueError(f"{place}: expected a text `{key}`. Received: {stored!r}")
    return stored
