"""docs/parity.md out of the rows and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.parity.rows import ROWS, Kind, Row

COMMAND = 'python -m pytest -m "parity and not exhaustive" --parity-table=docs/parity.md'

_HEAD = f"""\
# Parity

Made by

    {COMMAND}

from what the tests measure; nothing here is written by hand. `tests/parity/rows.py` declares the
rows, and each number is the largest difference over all compared batches and depths, rounded up to
one digit. The numbers of the other programs were stored by the scripts of
[tests/goldens](../tests/goldens/README.md); ours were computed by TensorFlow on a CPU.
"""

_KINDS = """\
* **real weights**: the checkpoint that its authors trained.
* **original layout, random weights**: a small network that the original program made and saved, so
  names, containers and arithmetic are its own.
* **layout by its published names, random weights**: a small network whose numbers another program
  made; a script of ours stored it under the original's names and in its container.
* **names only**: a published list of tensor names and shapes, no numbers.
"""

Results = Mapping[str, Mapping[str, str]]


def render(results: Results) -> str:
    """The whole page.

    Args:
        results: name of the row -> output -> largest difference.

    Raises:
        KeyError: a row was not measured.
    """
    networks = {name: row for name, row in ROWS.items() if not row.kind.of_tokenizer}
    tokenizers = {name: row for name, row in ROWS.items() if row.kind.of_tokenizer}
    lines = [
        _HEAD,
        "## Networks\n",
        _KINDS,
        *_table(
            ("family", "dialect", "checkpoint", "kind", "compared with", "largest difference"),
            ("tolerance",),
            networks,
            results,
        ),
        "",
        *_counts(networks.values()),
        "\n## Tokenizers\n",
        "Texts in `tests/goldens` whose ids are not those of the other program;",
        "[tokenizers.md](tokenizers.md) has the causes.\n",
        *_table(
            ("tokenizer", "vocabulary", "kind", "compared with", "texts that differ"),
            ("allowed",),
            tokenizers,
            results,
        ),
    ]
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, dict[str, str]]:
    """The results in a page that `render` made; rows that `ROWS` lacks keep their cells as name."""
    names = {_identity(row): name for name, row in ROWS.items()}
    results = {}
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or cells[0] in ("family", "tokenizer"):
            continue
        identity = tuple(cells[:-2])
        outputs = (each.partition(": ") for each in cells[-2].split("; "))
        results[names.get(identity, " | ".join(identity))] = {o: text for o, _, text in outputs}
    return results


def _table(
    columns: Iterable[str], last: Iterable[str], rows: Mapping[str, Row], results: Results
) -> Iterator[str]:
    titles = [*columns, *last]
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for name, row in rows.items():
        if not results.get(name):
            raise KeyError(f"row {name!r} was not measured")
        differences = "; ".join(f"{o}: {text}" for o, text in sorted(results[name].items()))
        tolerance = f"{row.tolerance:g}".replace("e-0", "e-")
        yield f"| {' | '.join((*_identity(row), differences, tolerance))} |"


def _identity(row: Row) -> tuple[str, ...]:
    where = (row.family, row.dialect)
    if not row.kind.of_tokenizer:
        where += (row.checkpoint,)
    return (*where, row.kind.value, str(row.program))


def _counts(rows: Iterable[Row]) -> Iterator[str]:
    kinds = [row.kind for row in rows]
    told = (
        f"{kind.value}: {kinds.count(kind) or 'none'}" for kind in Kind if not kind.of_tokenizer
    )
    yield f"Rows by kind: {'; '.join(told)}."
