"""The text encoder of a task: made from a source as the task needs it, or given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from keras_pretrained.applications.tasks.sentence_folder import sentence_embedding
from keras_pretrained.layers.text.encoder_source import read_source
from keras_pretrained.layers.text.family import family_of, layer_of
from keras_pretrained.layers.text.text_encoder import TextEncoder
from keras_pretrained.presets import preset_of

POOLING: Mapping[str, str] = {
    "bert": "pooler",
    "albert": "pooler",
    "roberta": "cls",
    "distilbert": "cls",
    "electra": "cls",
    "gpt2": "last",
    "ulmfit": "last-max-mean",
}
"""Family -> the vector of a text on which its authors put a classifier; otherwise the mean."""


def text_encoder(
    source: Any,
    pooling: str | None,
    options: Mapping[str, Any],
    families: Mapping[str, str] = POOLING,
) -> TextEncoder:
    """The encoder of a task.

    Args:
        source: a preset, a path, or a text layer that was made for this task.
        pooling: None for one vector a token; `"auto"` for the published vector of a text, or that
            of `families`.
        options: of the layer that is made.
        families: family -> the vector of a text that the task needs; otherwise the mean.

    Raises:
        ValueError: a layer whose output is of another kind, or options beside a layer.
    """
    if isinstance(source, TextEncoder):
        return _given(source, pooling, options)
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "Expected a preset's name, a path, or a text layer of keras_pretrained.layers. "
            f"Received: {source!r}"
        )
    family = family_of(source)
    layer = layer_of(family)
    if pooling != "auto":
        return layer(source, pooling=pooling, **options)
    chosen = published_embedding(source).get("pooling") or families.get(family, "mean")
    if chosen != "pooler":
        return layer(source, pooling=chosen, **options)
    named = {key: options[key] for key in ("weights", "dialect", "architecture") if key in options}
    _, architecture = read_source(layer, source, **named)
    # Some published files lack the original pooler.
    return layer(source, pooling="pooler" if architecture.pooler else "cls", **options)


def _given(layer: TextEncoder, pooling: str | None, options: Mapping[str, Any]) -> TextEncoder:
    if options:
        raise ValueError(
            f"Layer {layer.name!r} is made already: {', '.join(sorted(options))} belong to its own "
            "constructor."
        )
    wanted = "one vector a token" if pooling is None else "one vector a text"
    if (pooling is None) != (layer.pooling is None) or pooling not in (None, "auto", layer.pooling):
        raise ValueError(
            f"The task needs {wanted} (pooling={pooling!r}). Received: layer {layer.name!r} with "
            f"pooling={layer.pooling!r}"
        )
    return layer


def published_embedding(source: Any) -> Mapping[str, Any]:
    """How the authors of a preset or folder make one vector of a text, where they say so."""
    if not isinstance(source, str | os.PathLike):
        return {}
    preset = preset_of(source)
    return sentence_embedding(source) if preset is None else preset.embedding
