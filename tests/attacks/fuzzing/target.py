"""What is fuzzed: a way to make damaged checkpoints, a way to read them, and what may happen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from tests.attacks.attack import ALLOWANCE, GROWTH, read_all

Files = dict[str, bytes]
"""The files of one checkpoint by their relative path; the first is the one that is opened."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: of the reader.
        make: the files of a damaged checkpoint. `honest()` gives the undamaged ones.
        honest: undamaged checkpoints: they must be read, and warm everything up.
        read: reads the checkpoint at a path, with all of its values.
        doors: functions of the library, as `module.function`, that only look at the container:
            magic numbers, checksums, where the directory is. A case whose error was raised in
            one of them did not reach the parser.
        minimum: the share of cases that has to get past the doors.
        allowance: bytes that may be allocated for nothing.
        growth: bytes that may be allocated for each stored one.
        errors: what may be raised.
    """

    name: str
    make: Callable[[random.Random], Files]
    honest: Callable[[], list[Files]]
    read: Callable[[Path], Any] = lambda path: read_all(open_checkpoint(path))
    doors: tuple[str, ...] = ()
    minimum: float = 0.8
    allowance: int = ALLOWANCE
    growth: int = GROWTH
    errors: tuple[type[Exception], ...] = (CheckpointError,)


def reading(open_file: Callable[[Path], Checkpoint]) -> Callable[[Path], None]:
    """Opens with one reader, past the recognition of formats, and reads all values."""
    return lambda path: read_all(open_file(path))
