"""What the layers say of a source, imported without what TensorFlow's libraries print."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from keras_pretrained.presets import PresetError


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keeps from the terminal what TensorFlow's libraries print while they are loaded.

    They print about processors and drivers from C++, before any setting for their log is read. If
    loading fails, all of it is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        terminal = os.dup(2)
    except OSError:
        # There is no standard error to keep anything from.
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


with _quiet_start():
    from keras_pretrained.layers.text import family as _family

fitting = _family.fitting
layer_of = _family.layer_of
weight_maps = _family.weight_maps


def family_of(source: str) -> str:
    """The family of a preset, a folder or a file.

    Raises:
        PresetError: nothing tells it; the message says how to name it.
    """
    try:
        return _family.family_of(source)
    except _family.UnknownFamily as error:
        names = ", ".join(_family.text_families())
        raise PresetError(f"{error} Name it with --family, one of: {names}.") from error
