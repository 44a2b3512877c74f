"""Runs cases of one target in this process, which may crash: `python -m ... worker NAME`.

    python -m tests.attacks.fuzzing.worker NAME FIRST COUNT SEEDS WORK

reads the cases FIRST to FIRST + COUNT - 1 and prints a JSON report. Before each case its number
goes to the file `case` in WORK, so that a crash or hang can be told by who started the process.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import traceback
from collections import Counter
from pathlib import Path

from tests.attacks.fuzzing.guard import Guard, Violation
from tests.attacks.fuzzing.target import Files, Target

_LIBRARY = f"{os.sep}keras_pretrained{os.sep}"


def run(target: Target, first: int, count: int, work: Path) -> dict[str, object]:
    """Reads `count` damaged checkpoints; the report counts what became of them.

    The report: `read` (what the damage left is a checkpoint), `refused` (by the parser),
    `stopped` (at a door), `places` (where errors were raised), and `failures` (number of a case
    and what it did), of which there must be none.
    """
    guard = Guard()
    for files in target.honest():
        target.read(_write(files, work / "honest"))
        shutil.rmtree(work / "honest")
    # What the first error imports and caches is no cost of a case.
    for warm_up in range(5):
        _outcome(target, guard, -1 - warm_up, work)
    guard.limit_address_space()
    outcomes: Counter[str] = Counter()
    places: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    progress = os.open(work / "case", os.O_WRONLY | os.O_CREAT)
    for number in range(first, first + count):
        os.pwrite(progress, b"%12d" % number, 0)
        try:
            place = _outcome(target, guard, number, work)
        except (Exception, Violation) as error:
            failures.append((number, _described(error)))
            if len(failures) >= 10:
                break
            continue
        if place:
            places[place] += 1
        outcomes["read" if not place else "stopped" if place in target.doors else "refused"] += 1
    return {**outcomes, "places": places.most_common(), "failures": failures}


def _outcome(target: Target, guard: Guard, number: int, work: Path) -> str:
    """Where the error of a case was raised; empty when it was read."""
    files = target.make(random.Random(f"{target.name} {number}"))
    folder = work / "input"
    path = _write(files, folder)
    size = sum(len(data) for data in files.values())
    try:
        with guard.watching(folder, target.allowance + target.growth * size):
            target.read(path)
        return ""
    except target.errors as error:
        if not any(Path(name).name in str(error) for name in [*files, folder.name]):
            raise AssertionError(f"the error names no file: {error}") from error
        return _place(error)
    finally:
        shutil.rmtree(folder)


def _write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / next(iter(files))


def _place(error: BaseException) -> str:
    """The function of the library in which the first cause of an error was raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [frame.f_code for frame in frames if _LIBRARY in frame.f_code.co_filename]
    if not inside:
        return "outside of the library"
    return f"{Path(inside[-1].co_filename).stem}.{inside[-1].co_qualname}"


def _described(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-12:])[-4000:]


if __name__ == "__main__":
    name, first, count, seeds, work = sys.argv[1:]
    from tests.attacks.fuzzing.targets import targets

    chosen = targets(Path(seeds))[name]()
    print(json.dumps(run(chosen, int(first), int(count), Path(work))))
