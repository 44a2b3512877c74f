"""From the logits of the next token to the token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

_NEVER = -1e30


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Args:
        temperature: divides the logits; 0 or None takes the most likely token.
        top_k: only the k most likely tokens can be chosen.
        top_p: only the most likely tokens that together have at least this probability can be.
    """

    temperature: float | None = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise ValueError(
                f"`temperature` must be a number from 0 on, or None. Received: {self.temperature!r}"
            )
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            raise ValueError(f"`top_k` must be an int from 1 on, or None. Received: {self.top_k!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"`top_p` must lie in (0, 1], or be None. Received: {self.top_p!r}")

    @property
    def greedy(self) -> bool:
        return not self.temperature

    def choose(self, logits: Any, uniform: Any) -> Any:
        """Tokens (batch,) for logits (batch, vocabulary) and numbers (batch,) from [0, 1)."""
        ops = keras.ops
        logits = ops.cast(logits, "float32")
        if self.greedy:
            return ops.cast(ops.argmax(logits, axis=-1), "int32")
        cumulative = ops.cumsum(self.probabilities(logits), axis=-1)
        # Rounding keeps the sum from being one exactly.
        point = uniform[:, None] * cumulative[:, -1:]
        below = ops.sum(ops.cast(cumulative <= point, "int32"), axis=-1)
        return ops.minimum(below, logits.shape[-1] - 1)

    def probabilities(self, logits: Any) -> Any:
        """(batch, vocabulary) -> the probabilities that tokens are drawn with."""
        ops = keras.ops
        logits = logits / self.temperature
        size = logits.shape[-1]
        if self.top_k is not None and self.top_k < size:
            smallest = ops.top_k(logits, self.top_k)[0][:, -1:]
            logits = ops.where(logits < smallest, _NEVER, logits)
        if self.top_p is not None and self.top_p < 1:
            ordered = -ops.sort(-logits, axis=-1)
            likely = ops.softmax(ordered, axis=-1)
            before = ops.cumsum(likely, axis=-1) - likely
            smallest = ops.min(
                ops.where(before < self.top_p, ordered, float("inf")), axis=-1, keepdims=True
            )
            logits = ops.where(logits < smallest, _NEVER, logits)
        return ops.softmax(logits, axis=-1)
