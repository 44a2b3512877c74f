"""What the registry knows of each family: which entries its presets have, and how to count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ACTIVATIONS = ("gelu", "gelu_tanh", "relu")


@dataclass(frozen=True)
class Family:
    """The entries that presets of one family must and may have.

    Attributes:
        architecture: entry -> type; every preset has all of them.
        tokenizer: likewise.
        tokenizer_kinds: the values of the tokenizer's `kind`.
        dialects: the naming schemes that its checkpoints come in.
        problems: what is wrong with an architecture whose entries have the right types.
        count_parameters: architecture -> number of weights.
    """

    architecture: Mapping[str, type]
    tokenizer: Mapping[str, type]
    tokenizer_kinds: tuple[str, ...]
    dialects: tuple[str, ...]
    problems: Callable[[Mapping[str, Any]], Iterator[str]]
    count_parameters: Callable[[Mapping[str, Any]], int]


def _transformer_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    for key, value in architecture.items():
        if type(value) is int and value < 1:
            yield f"{key} must be at least 1, not {value}"
        elif type(value) is float and not 0 <= value < 1:
            yield f"{key} must lie in [0, 1), not {value}"
    heads, hidden = architecture["num_heads"], architecture["hidden_size"]
    if heads >= 1 and hidden % heads:
        yield f"num_heads={heads} does not divide hidden_size={hidden}"
    if architecture["activation"] not in _ACTIVATIONS:
        yield (
            f"activation must be one of {', '.join(_ACTIVATIONS)}, "
            f"not {architecture['activation']!r}"
        )


def _count_bert(architecture: Mapping[str, Any]) -> int:
    hidden, inner = architecture["hidden_size"], architecture["intermediate_size"]
    rows = sum(
        architecture[table] for table in ("vocabulary_size", "max_positions", "num_segments")
    )
    norm = 2 * hidden
    projection = hidden * hidden + hidden
    feed_forward = 2 * hidden * inner + inner + hidden
    block = 4 * projection + feed_forward + 2 * norm
    return rows * hidden + norm + architecture["num_layers"] * block + projection


FAMILIES: Mapping[str, Family] = {
    "bert": Family(
        architecture={
            "vocabulary_size": int,
            "num_layers": int,
            "num_heads": int,
            "hidden_size": int,
            "intermediate_size": int,
            "max_positions": int,
            "num_segments": int,
            "activation": str,
            "dropout": float,
            "attention_dropout": float,
            "layer_norm_epsilon": float,
            "initializer_range": float,
        },
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("wordpiece",),
        dialects=("hf", "google", "tf-models"),
        problems=_transformer_problems,
        count_parameters=_count_bert,
    ),
}
