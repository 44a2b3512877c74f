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
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            kept = highest(logits, ops.ones_like(logits, dtype="int32"), self.top_k)
            logits = ops.where(kept, logits, _NEVER)
        if self.top_p is not None and self.top_p < 1:
            kept = highest(logits, ops.softmax(logits, axis=-1), self.top_p)
            logits = ops.where(kept, logits, _NEVER)
        return ops.softmax(logits, axis=-1)


def highest(logits: Any, weights: Any, limit: float) -> Any:
    """True where the weights of all higher logits together are less than the limit.

    The lowest such logit of a row is found by halving the range 32 times, which is exact, and on
    CPUs twenty times as fast as XLA sorts a vocabulary.

    Args:
        logits, weights: (batch, vocabulary); float32, and numbers from 0 on.
    """
    ops = keras.ops
    # The bits of floats, read as integers, have the order of the floats; negative ones reversed.
    bits = ops.view(logits, "int32")
    keys = ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)

    def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        # Their mean, rounded down; the sum itself may need more than 32 bits.
        middle = ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)
        higher = ops.sum(ops.where(keys > middle, weights, 0), axis=-1, keepdims=True)
        low_enough = higher < limit
        return ops.where(low_enough, low, middle + 1), ops.where(low_enough, middle, high)

    ends = ops.min(keys, axis=-1, keepdims=True), ops.max(keys, axis=-1, keepdims=True)
    _, lowest = ops.fori_loop(0, 32, halve, ends)
    return keys >= lowest
