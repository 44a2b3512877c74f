"""The names of AWD-LSTM's variables in the files of fast.ai's three generations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import TRANSPOSE

# Language models, encoders alone, and classifiers, which wrap the encoder.
ENCODERS = ("0.", "", "0.module.")
COPY = "a copy of another tensor, made by fast.ai's dropouts"
TIED = "a copy of the token table, as which the decoder is tied"


def _rules(recurrent: str) -> Iterator[Rule]:
    for prefix in ENCODERS:
        yield Rule("table/embeddings", f"{prefix}encoder.weight")
        lstm = f"{prefix}rnns.{{i}}."
        yield Rule("layer_{i}/kernel", f"{lstm}module.weight_ih_l0", TRANSPOSE)
        yield Rule("layer_{i}/recurrent_kernel", f"{lstm}{recurrent}", TRANSPOSE)
        yield Rule("layer_{i}/bias", f"{lstm}module.bias_ih_l0")
        yield Rule("layer_{i}/recurrent_bias", f"{lstm}module.bias_hh_l0")
    yield Rule("decoder/bias", "1.decoder.bias")


def _ignored(copy: str) -> dict[str, str]:
    return {
        rf"(model\.)?(0\.|0\.module\.)?({copy})": COPY,
        r"(model\.)?1\.decoder\.weight": TIED,
        r"(model\.)?1\.layers\..*": "the head of a classifier",
        r"opt\..*": "the state of an optimizer",
    }


# The names end in .h5, but torch wrote them.
OLD = WeightMap(
    "fastai-0.7",
    tuple(_rules("module.weight_hh_l0_raw")),
    ignore=_ignored(r"encoder_with_dropout\.embed\.weight"),
    container="torch",
    file_name="fwd_wt103.h5",
)

# Version 2 leaves out the second copy of the recurrent kernels, and reads files with and without.
NEW = WeightMap(
    "fastai",
    tuple(_rules("weight_hh_l0_raw")),
    ignore=_ignored(r"encoder_dp\.emb\.weight|rnns\.\d+\.module\.weight_hh_l0"),
    prefixes=("", "model."),
    container="torch",
    file_name="lstm_fwd.pth",
)

WEIGHT_MAPS = (OLD, NEW)


_LANGUAGE_MODEL = {
    "fastai-0.7": ("0.encoder_with_dropout.embed.weight", "1.decoder.weight"),
    "fastai": ("0.encoder_dp.emb.weight", "0.rnns.{i}.module.weight_hh_l0", "1.decoder.weight"),
}


def copy_names(dialect: str, num_layers: int) -> list[str]:
    """The tensors that a language model's file holds a second time."""
    names = _LANGUAGE_MODEL[dialect]
    return [name for name in names if "{i}" not in name] + [
        name.replace("{i}", str(index))
        for name in names
        if "{i}" in name
        for index in range(num_layers)
    ]


def original_of(copy: str) -> str:
    """The name of the tensor that another one is a copy of."""
    if copy.endswith("1.decoder.weight"):
        return copy.replace("1.decoder.weight", "0.encoder.weight")
    if copy.endswith("module.weight_hh_l0"):
        return copy.replace("module.weight_hh_l0", "weight_hh_l0_raw")
    return re.sub(r"encoder_(dp\.emb|with_dropout\.embed)\.weight$", "encoder.weight", copy)
