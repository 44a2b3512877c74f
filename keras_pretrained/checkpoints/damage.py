"""How the TensorFlow readers report a file that is broken, hostile or of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keras_pretrained.checkpoints.checkpoint import CheckpointError

GET_IT_AGAIN = "The file is damaged or incomplete: get it again from its publisher."


class Malformed(CheckpointError):
    """Stored bytes break their format; raised where no file name is known."""


@contextmanager
def blame(where: str) -> Iterator[None]:
    """Put the file (and tensor) in front of every `Malformed` that is raised inside.

    Args:
        where: what is being read, e.g. `"/path/model.ckpt.index"` or that plus a tensor name.
    """
    try:
        yield
    except Malformed as error:
        raise CheckpointError(f"{where}: {error} {GET_IT_AGAIN}") from error
    except OSError as error:
        raise CheckpointError(f"{where}: cannot be read ({error.strerror or error}).") from error
