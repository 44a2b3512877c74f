"""Exact match and F1 of answers, as the official programs of SQuAD 1.1 and 2.0 count them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keras_pretrained.applications.tasks.squad import QuestionExample

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class SquadScore:
    """Percentages.

    Attributes:
        exact_match: predictions that are equal to an answer but for articles, punctuation, capital
            letters and spaces.
        f1: the mean overlap of their words.
        count: how many questions they are of.
        answerable, unanswerable: the same of the questions that have an answer, and of those that
            have none; None where there are none, and for 1.1.
    """

    exact_match: float
    f1: float
    count: int
    answerable: SquadScore | None = None
    unanswerable: SquadScore | None = None


def squad_score(
    predictions: Sequence[str] | Mapping[str, str],
    examples: Sequence[QuestionExample],
    version: str = "auto",
) -> SquadScore:
    """Scores predictions as the official program of a version of SQuAD does.

    Args:
        predictions: one text an example, in their order, or by the examples' `id`; `""` says that
            there is no answer.
        examples: with their answers.
        version: `"1.1"` or `"2.0"`; `"auto"` for 2.0 where some example has no answer.

    Raises:
        ValueError: an example without known answers or without a prediction.
    """
    if isinstance(predictions, Mapping):
        missing = [each.id for each in examples if each.id not in predictions]
        if missing:
            raise ValueError(f"{len(missing)} questions have no prediction, such as {missing[0]!r}")
        predictions = [predictions[example.id] for example in examples]
    if len(predictions) != len(examples) or not examples:
        raise ValueError(
            "Expected a prediction for each of one or more examples. "
            f"Received: {len(predictions)} predictions, {len(examples)} examples"
        )
    unknown = [each.id or each.question for each in examples if each.answers is None]
    if unknown:
        raise ValueError(f"Expected examples with known answers. Without: {unknown[0]!r}")
    if version == "auto":
        version = "1.1" if all(example.answers for example in examples) else "2.0"
    if version not in ("1.1", "2.0"):
        raise ValueError(f"`version` must be 'auto', '1.1' or '2.0'. Received: {version!r}")
    rows = [
        _scores(text, [answer.text for answer in example.answers or ()], version)
        for text, example in zip(predictions, examples, strict=True)
    ]
    if version == "1.1":
        return _mean(rows)
    has_answer = [bool(example.answers) for example in examples]
    kinds = [
        [row for row, has in zip(rows, has_answer, strict=True) if has is wanted]
        for wanted in (True, False)
    ]
    total = _mean(rows)
    return SquadScore(
        total.exact_match, total.f1, total.count, *(_mean(kind) if kind else None for kind in kinds)
    )


def _mean(rows: Sequence[tuple[float, float]]) -> SquadScore:
    exact, f1 = (100 * sum(column) / len(rows) for column in zip(*rows, strict=True))
    return SquadScore(exact, f1, len(rows))


def _scores(predicted: str, answers: Sequence[str], version: str) -> tuple[float, float]:
    if version == "2.0":
        # An answer of articles and punctuation alone is none there.
        answers = [answer for answer in answers if _normalized(answer)] or [""]

    def best(score: Callable[[list[str], list[str]], float]) -> float:
        words = _normalized(predicted).split()
        return max((score(words, _normalized(each).split()) for each in answers), default=0.0)

    return best(lambda a, b: float(a == b)), best(_f1_1 if version == "1.1" else _f1_2)


def _f1_1(predicted: list[str], right: list[str]) -> float:
    common = sum((Counter(predicted) & Counter(right)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _f1_2(predicted: list[str], right: list[str]) -> float:
    if not predicted or not right:
        return float(predicted == right)
    return _f1_1(predicted, right)


def _normalized(text: str) -> str:
    """Small letters, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())
