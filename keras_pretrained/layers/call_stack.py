"""Keras' own stack of calls: which model is being run, and in which mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state


def calling_model() -> keras.Model | None:
    """The model whose call led to the layer that is running, if a model was called at all."""
    context = _context()
    entry = None if context is None else context.entry_layer
    return entry if isinstance(entry, keras.Model) else None


@contextmanager
def kept_training_flag() -> Iterator[None]:
    """Leaves Keras' call stack in the mode in which it was found.

    Keras hands the mode of the last inner call on to whatever is called next: behind a frozen
    stage the dropout of the user's own model would be off without a word.
    """
    context = _context()
    training = None if context is None else context.get_value("training")
    try:
        yield
    finally:
        if context is not None:
            context.set_value("training", training)


def _context() -> Any:
    # Keras has no public view of it. (`Layer._get_call_context` would open a new context where
    # `call` is reached without `__call__`, as by JAX's stateless calls, and leave it open.)
    return global_state.get_global_attribute("current_call_ctx")
