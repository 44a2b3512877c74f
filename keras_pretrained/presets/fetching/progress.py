"""A progress bar on a terminal; silence anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    title: str, total: int | None, done: int, show: bool
) -> Iterator[Callable[[int], object]]:
    """Gives a function that is told how many bytes came in."""
    if not (show and sys.stderr.isatty()):
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(
        desc=title, total=total, initial=done, unit="B", unit_scale=True, file=sys.stderr
    ) as bar:
        yield bar.update


def say(text: str, show: bool) -> None:
    """One line for someone who watches."""
    if show and sys.stderr.isatty():
        print(text, file=sys.stderr)
