"""Entities of tagged words, and their scores: those of seqeval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keras_pretrained.applications import Entity, entities
from keras_pretrained.applications.tasks.entities import tag_scores
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[2] / "goldens" / "task_scores"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("I-A I-A B-A I-B", [(0, 2, "A"), (2, 3, "A"), (3, 4, "B")]),
        ("B-A E-A S-A I-A", [(0, 2, "A"), (2, 3, "A"), (3, 4, "A")]),
        ("O I-A-B O B", [(1, 2, "A-B"), (3, 4, "_")]),
        ("O O", []),
    ],
)
def test_the_schemes(tags: str, expected: list[tuple[int, int, str]]) -> None:
    words = [f"w{number}" for number in range(len(tags.split()))]
    found = entities(words, tags.split())
    assert [tuple(entity[:3]) for entity in found] == expected
    assert all(entity.text == " ".join(words[entity.start : entity.end]) for entity in found)


def test_an_entity_has_its_words() -> None:
    words = ["Ada", "Lovelace", "of", "London"]
    assert entities(words, ["B-PER", "I-PER", "O", "B-LOC"]) == [
        Entity(0, 2, "PER", "Ada Lovelace"),
        Entity(3, 4, "LOC", "London"),
    ]


@pytest.mark.parametrize(
    ("tags", "message"),
    [(["O"], "2 words, 1 tags"), (["O", "NOUN"], "'NOUN'"), (["O", "B-"], "'B-'")],
)
def test_other_tags_are_an_error(tags: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entities(["a", "b"], tags)


@pytest.mark.parity
def test_entities_and_scores_are_those_of_seqeval(parity: Record) -> None:
    cases = json.loads((GOLDENS / "entities.json").read_text(encoding="utf-8"))
    measured = parity("entities/seqeval")
    assert {case["scheme"] for case in cases} >= {"BIO", "IOB1", "IOBES"}
    for case in cases:
        found = [
            [[each.label, each.start, each.end - 1] for each in entities(["w"] * len(tags), tags)]
            for tags in case["tags"]
        ]
        measured.equal("entities", found, case["entities"])
        scores = tag_scores(case["tags"], case["predicted"])
        together = [scores.precision, scores.recall, scores.f1]
        measured.close("precision, recall, F1", together, case["together"][:3])
        measured.close("accuracy", scores.accuracy, case["accuracy"])
        assert list(scores.by_label) == list(case["by_label"])
        for label, score in scores.by_label.items():
            each = [score.precision, score.recall, score.f1, score.support]
            measured.close("precision, recall, F1 by type", each, case["by_label"][label])


def test_other_tags_are_scored_word_by_word() -> None:
    scores = tag_scores([["N", "V"], ["N"]], [["N", "N"], ["N"]])
    assert scores.accuracy == scores.precision == scores.f1 == pytest.approx(2 / 3)
    assert scores.by_label["N"].recall == 1
    assert scores.by_label["V"].f1 == 0
    table = str(scores).split("\n")
    assert table[0].split() == ["precision", "recall", "F1", "support"]
    assert table[1].split() == ["N", "0.667", "1.000", "0.800", "2"]
    assert table[-1] == "words with the right tag: 0.667"


@pytest.mark.parametrize("predicted", [[["O"]], [["O", "O"], []]])
def test_scores_of_other_texts_are_an_error(predicted: Any) -> None:
    with pytest.raises(ValueError, match="same texts"):
        tag_scores([["O", "O"]], predicted)
