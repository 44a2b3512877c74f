"""Checks of what `AWDLSTMEncoder` is given."""

from __future__ import annotations

from typing import Any

from keras_pretrained.layers.recurrent.awd_lstm_source import RATES, AWDLSTMArchitecture
from keras_pretrained.layers.text.text_encoder import HiddenLayers


def check_outputs(
    architecture: AWDLSTMArchitecture,
    language_model_logits: bool,
    pooling: str | None,
    hidden_layers: HiddenLayers,
) -> None:
    """Raises ValueError when the network has no such output."""
    if hidden_layers == "mix" and len(set(architecture.widths)) > 1:
        raise ValueError(
            "hidden_layers='mix' needs hidden states of one width. Those of this network have "
            f"{architecture.widths}. Use 'all', which puts them side by side."
        )
    if language_model_logits and (pooling is not None or hidden_layers != -1):
        raise ValueError(
            "`language_model_logits=True` gives logits for every token: `pooling` and "
            f"`hidden_layers` must keep their defaults. Received: pooling={pooling!r}, "
            f"hidden_layers={hidden_layers!r}"
        )


def check_chunks(bptt: Any, kept_tokens: Any, language_model_logits: bool) -> None:
    """Raises ValueError when texts cannot be read in such chunks."""
    for name, value in (("bptt", bptt), ("kept_tokens", kept_tokens)):
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"`{name}` must be an int from 1 on, or None. Received: {value!r}")
    if kept_tokens is None:
        return
    if bptt is None or kept_tokens < bptt:
        raise ValueError(
            "`kept_tokens` counts chunks of `bptt` tokens and must be at least one of them. "
            f"Received: kept_tokens={kept_tokens}, bptt={bptt}"
        )
    if language_model_logits:
        raise ValueError(
            "`kept_tokens` is for classifiers: a language model has a logit for every token. "
            f"Received: kept_tokens={kept_tokens} and language_model_logits=True"
        )


def scaled_rates(architecture: AWDLSTMArchitecture, multiplier: float) -> dict[str, float]:
    """All rates of dropout, times `dropout_multiplier`."""
    if multiplier < 0:
        raise ValueError(f"`dropout_multiplier` must not be negative. Received: {multiplier}")
    rates = {name: getattr(architecture, name) * multiplier for name in RATES}
    for name, rate in rates.items():
        if rate >= 1:
            raise ValueError(
                f"{name} is {rate} with dropout_multiplier={multiplier}. Expected less than 1."
            )
    return rates
