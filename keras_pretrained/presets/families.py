"""What the registry knows of each family: which entries its presets have, and how to count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
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


def _count_encoder(
    architecture: Mapping[str, Any], *, pooler: bool = False, other_rows: int = 0
) -> int:
    """The weights of an encoder; `other_rows` of its position table are no positions."""
    hidden, inner = architecture["hidden_size"], architecture["intermediate_size"]
    rows = other_rows + architecture["vocabulary_size"] + architecture["max_positions"]
    rows += architecture.get("num_segments", 0)
    norm = 2 * hidden
    projection = hidden * hidden + hidden
    feed_forward = 2 * hidden * inner + inner + hidden
    block = 4 * projection + feed_forward + 2 * norm
    pooled = projection if pooler else 0
    return rows * hidden + norm + architecture["num_layers"] * block + pooled


def _count_factorised(architecture: Mapping[str, Any], *, pooler: bool = False) -> int:
    """The weights of an encoder with embeddings of another width, and perhaps shared layers."""
    hidden, width = architecture["hidden_size"], architecture["embedding_size"]
    blocks = architecture.get("num_groups", architecture["num_layers"])
    tables = {"vocabulary_size": 0, "max_positions": 0, "num_segments": 0}
    inside = _count_encoder({**architecture, **tables, "num_layers": blocks}, pooler=pooler)
    rows = sum(architecture[table] for table in tables)
    projection = 0 if width == hidden else (width + 1) * hidden
    # `inside` has a normalisation of the width of hidden states behind its empty tables.
    return inside + rows * width + 2 * (width - hidden) + projection


def _factorised_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    yield from _transformer_problems(architecture)
    groups, layers = architecture.get("num_groups", 1), architecture["num_layers"]
    if groups > layers:
        yield f"num_groups={groups} is more than num_layers={layers}"


_ENCODER: Mapping[str, type] = {
    "vocabulary_size": int,
    "num_layers": int,
    "num_heads": int,
    "hidden_size": int,
    "intermediate_size": int,
    "max_positions": int,
    "activation": str,
    "dropout": float,
    "attention_dropout": float,
    "layer_norm_epsilon": float,
    "initializer_range": float,
}

FAMILIES: Mapping[str, Family] = {
    "bert": Family(
        architecture={**_ENCODER, "num_segments": int},
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("wordpiece",),
        dialects=("hf", "google", "tf-models"),
        problems=_transformer_problems,
        count_parameters=partial(_count_encoder, pooler=True),
    ),
    "roberta": Family(
        architecture={**_ENCODER, "num_segments": int},
        tokenizer={"kind": str},
        tokenizer_kinds=("byte-level-bpe",),
        dialects=("hf", "fairseq"),
        problems=_transformer_problems,
        count_parameters=partial(_count_encoder, other_rows=2),
    ),
    "distilbert": Family(
        architecture=_ENCODER,
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("wordpiece",),
        dialects=("hf",),
        problems=_transformer_problems,
        count_parameters=_count_encoder,
    ),
    "albert": Family(
        architecture={**_ENCODER, "num_segments": int, "embedding_size": int, "num_groups": int},
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("sentencepiece",),
        dialects=("hf", "google"),
        problems=_factorised_problems,
        count_parameters=partial(_count_factorised, pooler=True),
    ),
    "electra": Family(
        architecture={**_ENCODER, "num_segments": int, "embedding_size": int},
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("wordpiece",),
        dialects=("hf", "google", "google-generator"),
        problems=_factorised_problems,
        count_parameters=_count_factorised,
    ),
    "gpt2": Family(
        architecture=_ENCODER,
        tokenizer={"kind": str},
        tokenizer_kinds=("byte-level-bpe",),
        dialects=("hf", "openai"),
        problems=_transformer_problems,
        count_parameters=_count_encoder,
    ),
}
