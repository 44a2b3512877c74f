"""What every attack is measured by: an error that is ours, nothing run, no memory taken."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint

# What reading may take besides the stored bytes: Python's own objects for a few kilobytes.
ALLOWANCE = 4_000_000
GROWTH = 40


@contextmanager
def little_memory(limit: int) -> Iterator[None]:
    """Fails when the block allocates more than `limit` bytes at its peak."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak} bytes were allocated; {limit} would be justified"


def read_all(checkpoint: Checkpoint) -> None:
    for name, array in checkpoint.items():
        values = array.read()
        assert (values.shape, values.dtype) == (array.shape, array.dtype), name
        # Touches every value.
        values.tobytes()


def refused(
    path: Path,
    message: str = "",
    *,
    open_file: Callable[[Path], Checkpoint] = open_checkpoint,
    limit: int | None = None,
) -> str:
    """Asserts that a file is refused with a clear error and little memory; returns the error."""
    size = path.stat().st_size if path.is_file() else 0
    with little_memory(limit or ALLOWANCE + GROWTH * size), pytest.raises(CheckpointError) as info:
        read_all(open_file(path))
    text = str(info.value)
    assert message in text, text
    # The file, what is wrong with it: an error has to name both.
    assert path.name in text, text
    return text
