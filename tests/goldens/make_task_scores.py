"""Golden data of scores and of SQuAD's rows, made by the programs that define them.

Programs: seqeval in its default mode; the official program of SQuAD 1.1, as AllenNLP 0.9.0 carries
it (`allennlp/tools/squad_eval.py`); that of SQuAD 2.0, as transformers carries it
(`transformers.data.metrics.squad_metrics`); google-research/bert's windows of contexts, as
transformers carries them (`squad_convert_examples_to_features`).
Versions: Python 3.11, seqeval 1.2.2, transformers 4.57.6 (later versions lack these modules),
allennlp 0.9.0; as found when it ran, in `task_scores/golden.json`.
Command, from the root of the repository:

    pip install seqeval transformers==4.57.6
    pip download allennlp==0.9.0 --no-deps && unzip allennlp-*.whl -d FOLDER
    python tests/goldens/make_task_scores.py FOLDER

`entities.json` holds tags and the entities and scores of each pair of texts; `squad.json`
questions, predictions and the scores of both versions; `windows.json` the settings, questions and
the rows that they become.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import tiny_bert
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from transformers import BertTokenizer
from transformers.data.metrics.squad_metrics import squad_evaluate
from transformers.data.processors import squad

FOLDER = tiny_bert.HERE / "task_scores"
SCHEMES = {
    "BIO": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "IOB1": ["O", "I-PER", "I-PER", "I-LOC", "B-PER", "B-LOC"],
    "IOBES": ["O", *(f"{kind}-{name}" for kind in "BIES" for name in ("PER", "LOC-CITY"))],
    "mixed, without types": ["O", "B", "I", "E", "S", "B-A", "I-A", "I-B"],
}
# context, answers, predictions
QUESTIONS = [
    ("The cat sat on a mat.", ["The cat"], ["cat", "the cat!", "A  cat", "dog", "cat sat"]),
    ("It cost $3.50 in 1999.", ["$3.50", "3.50"], ["350", "$3.50 in", "3.5", ""]),
    ("Café Zürich, İstanbul", ["Café Zürich"], ["cafe zurich", "CAFÉ ZÜRICH", "Zürich"]),
    ("the the a an", ["the", "a"], ["the", "an", "", "word"]),
    ("Tom and Tom and Tom", ["Tom and Tom"], ["Tom", "Tom Tom Tom", "tom, and: tom"]),
    ("new\u00a0york — city", ["new\u00a0york"], ["new york", "New\tYork", "newyork"]),
    ("well-known U.S. firm", ["well-known", "U.S."], ["wellknown", "us", "well known", "US firm"]),
    ("東京 は 大きい", ["東京"], ["東京", "東 京", ""]),
    ("Nothing is said.", [], ["", "the", "Nothing", "..."]),
    ("a theory of an anthem", ["theory of an anthem"], ["theory of anthem", "ory", "The ANTHEM"]),
]


def entities() -> list[dict[str, Any]]:
    generator = random.Random(7)
    found = []
    for name, tags in SCHEMES.items():
        for _ in range(40):
            lengths = [generator.randint(0, 8) for _ in range(3)]
            right = [[generator.choice(tags) for _ in range(length)] for length in lengths]
            made = [
                [tag if generator.random() < 0.6 else generator.choice(tags) for tag in text]
                for text in right
            ]
            together = precision_recall_fscore_support(right, made, average="micro")
            labels = sorted({each[0] for text in right + made for each in get_entities(text)})
            each = precision_recall_fscore_support(right, made, average=None)
            found.append(
                {
                    "scheme": name,
                    "tags": right,
                    "predicted": made,
                    "entities": [[list(one) for one in get_entities(text)] for text in right],
                    "accuracy": float(accuracy_score(right, made)) if any(right) else 0.0,
                    "together": [float(value) for value in together],
                    "by_label": {
                        label: [float(column[place]) for column in each]
                        for place, label in enumerate(labels)
                    },
                }
            )
    return found


def squad_scores(allennlp: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("v1", allennlp / "allennlp/tools/squad_eval.py")
    v1 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(v1)
    rows = [
        {"id": f"{number}-{place}", "context": context, "answers": answers, "predicted": text}
        for number, (context, answers, predicted) in enumerate(QUESTIONS)
        for place, text in enumerate(predicted)
    ]
    answered = [row for row in rows if row["answers"]]
    questions = [
        {"id": row["id"], "answers": [{"text": text} for text in row["answers"]]}
        for row in answered
    ]
    predictions = {row["id"]: row["predicted"] for row in rows}
    for row in answered:
        row["1.1"] = [
            float(v1.metric_max_over_ground_truths(metric, row["predicted"], row["answers"]))
            for metric in (v1.exact_match_score, v1.f1_score)
        ]
    examples = [
        squad.SquadExample(
            row["id"],
            "?",
            row["context"],
            None,
            None,
            "",
            answers=[
                {"text": text, "answer_start": row["context"].index(text)}
                for text in row["answers"]
            ],
        )
        for row in rows
    ]
    for row, example in zip(rows, examples, strict=True):
        scores = squad_evaluate([example], {row["id"]: row["predicted"]})
        row["2.0"] = [scores["exact"] / 100, scores["f1"] / 100]
    return {
        "questions": rows,
        "1.1": v1.evaluate([{"paragraphs": [{"qas": questions}]}], predictions),
        "2.0": dict(squad_evaluate(examples, predictions)),
    }


def windows() -> dict[str, Any]:
    generator = random.Random(11)
    settings = {"max_seq_length": 24, "doc_stride": 5, "max_query_length": 6}
    tokenizer = BertTokenizer(str(FOLDER / "vocab.txt"))
    rows = []
    for number in range(40):
        words = [
            "".join(generator.choices("abcdefgh", k=generator.randint(1, 3)))
            + generator.choice(["", "", "", ".", ","])
            for _ in range(generator.randint(1, 24))
        ]
        context = " ".join(words)
        question = " ".join(generator.choices("abcd", k=generator.randint(1, 9)))
        start = generator.randrange(len(words))
        stop = min(start + generator.randint(1, 3), len(words))
        answer = " ".join(words[start:stop])
        place = len(" ".join([*words[:start], ""]))
        answers = [{"text": answer, "answer_start": place}]
        impossible = number % 7 == 0
        example = squad.SquadExample(
            str(number), question, context, answer, place, "", is_impossible=impossible
        )
        squad.squad_convert_example_to_features_init(tokenizer)
        features = squad.squad_convert_example_to_features(
            example, **settings, padding_strategy="max_length", is_training=True
        )
        rows.append(
            {
                "question": question,
                "context": context,
                "answers": [] if impossible else answers,
                "token_ids": [list(each.input_ids) for each in features],
                "segment_ids": [list(each.token_type_ids) for each in features],
                "spans": [[each.start_position, each.end_position] for each in features],
            }
        )
    return {"settings": settings, "questions": rows}


def main() -> None:
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    tiny_bert.write_vocabulary(FOLDER)
    made = {
        "entities": entities(),
        "squad": squad_scores(Path(sys.argv[1])),
        "windows": windows(),
    }
    for name, content in made.items():
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    tiny_bert.write_note(
        FOLDER,
        "seqeval.metrics.sequence_labeling (default mode); allennlp/tools/squad_eval.py; "
        "transformers.data.metrics.squad_metrics; transformers.data.processors.squad",
        ["seqeval", "transformers"],
    )
    note = json.loads((FOLDER / "golden.json").read_text())
    # Of a file out of its wheel, which is not installed.
    note["versions"]["allennlp"] = "0.9.0"
    note["command"] += " FOLDER"
    tiny_bert.write_json(FOLDER / "golden.json", note)


if __name__ == "__main__":
    main()
