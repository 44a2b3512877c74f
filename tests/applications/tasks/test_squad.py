"""SQuAD's files and scores: what is read, what is refused, and the official programs' numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keras_pretrained.applications import Answer, QuestionExample, read_squad, squad_score
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[2] / "goldens" / "task_scores"
CONTEXT = "Ada wrote it in 1843."


def stored(*questions: dict[str, Any], context: Any = CONTEXT) -> dict[str, Any]:
    paragraph = {"context": context, "qas": list(questions)}
    return {"version": "v2.0", "data": [{"title": "Ada", "paragraphs": [paragraph]}]}


def question(**changes: Any) -> dict[str, Any]:
    answers = [{"text": "1843", "answer_start": 16}, {"text": "in 1843", "answer_start": 13}]
    return {"id": "q1", "question": "When?", "answers": answers, **changes}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_both_versions_are_read(tmp_path: Path) -> None:
    content = stored(
        question(),
        question(id="q2", is_impossible=True, answers=[], plausible_answers=[]),
        {"id": "q3", "question": "Who?"},
    )
    first, second, third = read_squad(write(tmp_path / "dev.json", content))
    assert first == QuestionExample(
        "When?", CONTEXT, (Answer("1843", 16), Answer("in 1843", 13)), "q1"
    )
    assert first.answers is not None
    assert first.answers[0].end == 20
    assert (second.answers, third.answers) == ((), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "JSON list"),
        ({"data": {}}, "list of objects under 'data'"),
        ({"data": [{"paragraphs": [3]}]}, r"data\[0\].*under 'paragraphs'"),
        (stored(question(), context=7), r"paragraphs\[0\]: expected a text `context`"),
        (stored(question(question=None)), "expected a text `question`"),
        (stored(question(answers="1843")), "expected a list of answers"),
        (stored(question(answers=[["1843", 16]])), "answer 0: expected `text` and `answer_start`"),
        (stored(question(answers=[{"text": "1843", "answer_start": "16"}])), "a number"),
        (stored(question(answers=[{"text": "1843", "answer_start": -5}])), "a number"),
        (stored(question(answers=[{"text": "1843", "answer_start": 15}])), "'q1': .*character 15"),
        (stored(question(answers=[{"text": "x", "answer_start": 10**30}])), "does not begin"),
    ],
)
def test_other_files_are_an_error(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_squad(write(tmp_path / "train.json", content))


def test_hostile_files_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_bytes(b"[" * 100_000)
    with pytest.raises(ValueError, match="not a valid JSON"):
        read_squad(path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ValueError, match=r"not a file\. Expected a JSON data set"):
        read_squad(tmp_path / "pipe.json")


def golden() -> dict[str, Any]:
    return json.loads((GOLDENS / "squad.json").read_text(encoding="utf-8"))


def examples(rows: list[dict[str, Any]]) -> list[QuestionExample]:
    return [
        QuestionExample(
            "?",
            row["context"],
            tuple(Answer(text, row["context"].index(text)) for text in row["answers"]),
            row["id"],
        )
        for row in rows
    ]


@pytest.mark.parity
@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_scores_are_those_of_the_official_programs(version: str, parity: Record) -> None:
    content, measured = golden(), parity(f"squad/{version}")
    rows = [row for row in content["questions"] if version in row]
    for row, example in zip(rows, examples(rows), strict=True):
        score = squad_score([row["predicted"]], [example], version)
        found = [score.exact_match / 100, score.f1 / 100]
        measured.close("exact match, F1 of a question", found, row[version])
    total = squad_score({row["id"]: row["predicted"] for row in rows}, examples(rows), version)
    official = content[version]
    if version == "1.1":
        expected = [official["exact_match"], official["f1"]]
        assert total.answerable is None
    else:
        expected = [official["exact"], official["f1"]]
        assert total.answerable is not None
        assert total.unanswerable is not None
        assert total.count == official["total"]
        measured.close(
            "exact match, F1 by kind",
            [
                *(total.answerable.exact_match, total.answerable.f1, total.answerable.count),
                *(total.unanswerable.exact_match, total.unanswerable.f1),
            ],
            [
                *(official["HasAns_exact"], official["HasAns_f1"], official["HasAns_total"]),
                *(official["NoAns_exact"], official["NoAns_f1"]),
            ],
        )
    measured.close("exact match, F1 of all", [total.exact_match, total.f1], expected)


def test_the_version_follows_from_the_questions() -> None:
    answered = QuestionExample("?", "the", (Answer("the", 0),))
    # Without its article nothing is left of the answer: 1.1 finds no word in common.
    assert squad_score(["the"], [answered]).f1 == 0
    both = squad_score(["the", ""], [answered, QuestionExample("?", "the", ())])
    assert both.f1 == 100
    assert both.unanswerable is not None
    assert both.unanswerable.count == 1


@pytest.mark.parametrize(
    ("predictions", "answers", "version", "message"),
    [
        ([], (), "auto", "0 predictions, 1 examples"),
        ({"other": ""}, (), "auto", "1 questions have no prediction, such as 'q'"),
        ([""], None, "auto", "known answers. Without: 'q'"),
        ([""], (), "3", "'auto', '1.1' or '2.0'"),
    ],
)
def test_what_cannot_be_scored_is_an_error(
    predictions: Any, answers: Any, version: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        squad_score(predictions, [QuestionExample("?", "c", answers, "q")], version)
