"""Tasks compile themselves: without XLA in tests, which would cost seconds for every shape."""

from __future__ import annotations

import keras
import pytest


@pytest.fixture(autouse=True)
def _without_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    if keras.backend.backend() == "tensorflow":  # JAX would run op by op.
        monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: False)
