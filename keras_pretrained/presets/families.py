"""What the registry knows of each family: which entries its presets have, and how to count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
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
        count_parameters: architecture -> number of weights; None where presets state it.
        takes_images: whether its presets have an `image` in place of a tokenizer.
    """

    architecture: Mapping[str, type]
    tokenizer: Mapping[str, type]
    tokenizer_kinds: tuple[str, ...]
    dialects: tuple[str, ...]
    problems: Callable[[Mapping[str, Any]], Iterator[str]]
    count_parameters: Callable[[Mapping[str, Any]], int] | None
    takes_images: bool = False


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


def _count_elmo(architecture: Mapping[str, Any]) -> int:
    """The weights of the character convolutions, and of the LSTMs of both directions."""
    width, units = architecture["projection_size"], architecture["units"]
    characters, filters = architecture["character_size"], architecture["filters"]
    count = sum(number for _, number in filters)
    words = 261 * characters + sum(number * (size * characters + 1) for size, number in filters)
    words += architecture["num_highways"] * 2 * count * (count + 1)
    words += 0 if count == width else (count + 1) * width
    recurrent = 4 * units * (2 * width + 1) + units * width
    return words + 2 * architecture["num_layers"] * recurrent


def _elmo_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    for key, value in architecture.items():
        if type(value) in (int, float) and value < 1:
            yield f"{key} must be at least 1, not {value}"
    if architecture["activation"] not in ("relu", "tanh"):
        yield f"activation must be relu or tanh, not {architecture['activation']!r}"
    for pair in architecture["filters"]:
        if type(pair) is not list or [type(number) for number in pair] != [int, int]:
            yield f"filters must be pairs of a width and a number, not {pair!r}"


def _count_awd_lstm(architecture: Mapping[str, Any]) -> int:
    """The weights of the token table, of the LSTMs with torch's two biases, and of the decoder."""
    rows, width = architecture["vocabulary_size"], architecture["embedding_size"]
    count = rows * width + (rows if architecture["decoder_bias"] else 0)
    sizes = [width, *[architecture["units"]] * (architecture["num_layers"] - 1), width]
    for before, units in pairwise(sizes):
        count += 4 * units * (before + units + 2)
    return count


def _awd_lstm_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    for key, value in architecture.items():
        if type(value) is int and value < 1:
            yield f"{key} must be at least 1, not {value}"
        elif type(value) is float and not 0 <= value < 1:
            yield f"{key} must lie in [0, 1), not {value}"


def _table_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    for key, value in architecture.items():
        if value < 1:
            yield f"{key} must be at least 1, not {value}"


def _image_problems(architecture: Mapping[str, Any]) -> Iterator[str]:
    alpha = architecture.get("alpha", 1.0)
    if not 0 < alpha <= 4:
        yield f"alpha must lie in (0, 4], not {alpha}"


def _image_family(*dialects: str, **architecture: type) -> Family:
    """A family of image networks, whose builders' names tell all but a few arguments."""
    return Family(
        architecture=architecture,
        tokenizer={},
        tokenizer_kinds=(),
        dialects=dialects,
        problems=_image_problems,
        count_parameters=None,
        takes_images=True,
    )


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
    "elmo": Family(
        architecture={
            "filters": list,
            "units": int,
            "projection_size": int,
            "num_layers": int,
            "num_highways": int,
            "character_size": int,
            "max_characters": int,
            "activation": str,
            "cell_clip": float,
            "projection_clip": float,
            "skip_connections": bool,
        },
        tokenizer={"kind": str},
        tokenizer_kinds=("characters",),
        dialects=("bilm", "tf-hub", "bilm-training"),
        problems=_elmo_problems,
        count_parameters=_count_elmo,
    ),
    "ulmfit": Family(
        architecture={
            "vocabulary_size": int,
            "embedding_size": int,
            "units": int,
            "num_layers": int,
            "decoder_bias": bool,
            "backward": bool,
            "embedding_dropout": float,
            "input_dropout": float,
            "weight_dropout": float,
            "hidden_dropout": float,
            "output_dropout": float,
            "pad_id": int,
        },
        tokenizer={"kind": str, "rules": str},
        tokenizer_kinds=("fastai",),
        dialects=("fastai-0.7", "fastai"),
        problems=_awd_lstm_problems,
        count_parameters=_count_awd_lstm,
    ),
    "word-vectors": Family(
        architecture={"num_words": int, "hidden_size": int},
        tokenizer={"kind": str, "lowercase": bool},
        tokenizer_kinds=("whitespace",),
        dialects=("glove", "word2vec", "word2vec-text", "fasttext"),
        problems=_table_problems,
        count_parameters=lambda sizes: sizes["num_words"] * sizes["hidden_size"],
    ),
    "alexnet": _image_family("torchvision"),
    "densenet": _image_family("torchvision", "keras"),
    "inception": _image_family("slim", "keras", "torchvision"),
    "mobilenet": _image_family("slim", "keras", alpha=float),
    "nasnet": _image_family("slim", "keras"),
    "resnet": _image_family("slim", "keras", "torchvision"),
    "squeezenet": _image_family("torchvision"),
    "vgg": _image_family("slim", "keras", "torchvision", batch_norm=bool),
    "xception": _image_family("keras"),
}
