"""What every attack is measured by: an error that is ours, nothing run, no memory taken."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint

SEEDS = 300
MANY_SEEDS = 6000

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


def mutate(data: bytes, random_: random.Random, structure: int | None = None) -> bytes:
    """A damaged copy: wrong bytes, lies about lengths, bytes removed, doubled or cut off.

    Args:
        data: the honest file.
        random_: source of the choices.
        structure: how many bytes at the start are worth more attention.
    """
    changed = bytearray(data)
    for _ in range(random_.choice([1, 1, 2, 4, 8])):
        end = len(changed)
        if structure and random_.random() < 0.5:
            end = min(end, structure)
        at = random_.randrange(max(1, end))
        kind = random_.random()
        if kind < 0.4:
            changed[at : at + 1] = bytes([random_.randrange(256)])
        elif kind < 0.6:
            changed[at : at + 1] = random_.choice([b"\0", b"\xff", b"\x7f", b"\x80"])
        elif kind < 0.75:
            value = random_.choice([0, 2**64 - 1, 2**63 - 1, 2**31, random_.randrange(2 * end + 1)])
            width = random_.choice([2, 4, 8])
            changed[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
        elif kind < 0.85:
            other = random_.randrange(max(1, end))
            changed[at : at + 8] = changed[other : other + 8]
        elif kind < 0.9:
            del changed[at : at + random_.choice([1, 4, 8, 64])]
        elif kind < 0.95:
            changed[at:at] = changed[at : at + random_.choice([1, 4, 8, 64])]
        else:
            del changed[at:]
    return bytes(changed)


def survive(
    data: bytes,
    path: Path,
    seeds: range,
    *,
    structure: int | None = None,
    open_file: Callable[[Path], Checkpoint] = open_checkpoint,
) -> int:
    """Opens and reads damaged copies: each must either be refused properly or read.

    Returns:
        How many were refused.
    """
    refusals = 0
    for seed in seeds:
        broken = mutate(data, random.Random(seed), structure)
        # A new file for each: a map of the one before may be alive, and must not change.
        path.unlink(missing_ok=True)
        path.write_bytes(broken)
        start = time.monotonic()
        try:
            read_all(open_file(path))
        except CheckpointError:
            refusals += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        assert time.monotonic() - start < 5, f"seed {seed} took too long"
    return refusals
