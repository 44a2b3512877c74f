"""Parts of the compared programs that several benchmarks need."""

from __future__ import annotations

from typing import Any


def keras_hub_mean(folder: str, exact_gelu: bool, **changes: Any) -> tuple[Any, Any]:
    """KerasHub's BERT with the weights of a Hugging Face folder, by its own converter.

    Args:
        exact_gelu: replace the tanh approximation, which it always computes, by the exact
            function that the checkpoint was trained with.
        changes: of the backbone's configuration, such as `dropout=0.0`.

    Returns:
        Its symbolic inputs, and the mean over the tokens of each text.
    """
    import keras
    import keras_hub

    backbone = keras_hub.models.BertBackbone.from_preset(folder, **changes)
    if exact_gelu:
        for layer in backbone.transformer_layers:
            layer._feedforward_intermediate_dense.activation = keras.activations.gelu
    tokens = backbone.output["sequence_output"]
    mask = keras.ops.cast(keras.ops.expand_dims(backbone.input["padding_mask"], -1), "float32")
    mean = keras.ops.sum(tokens * mask, axis=1) / keras.ops.sum(mask, axis=1)
    return backbone.input, mean
