"""A BERT with random weights in the files of every publisher, for benchmarks that need no text.

Each container is written by the program that its publishers used: TensorFlow, safetensors,
PyTorch. All of them hold the same numbers. The activation is the tanh approximation of GELU,
the only one that KerasHub has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Tensors = Mapping[str, np.ndarray]

_COMMON = {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2}
SIZES = {
    "bert-base": {
        **_COMMON,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "hidden_size": 768,
        "intermediate_size": 3072,
    },
    "minilm-l6": {
        **_COMMON,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "hidden_size": 384,
        "intermediate_size": 1536,
    },
    "tiny": {
        **_COMMON,
        "vocab_size": 400,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
    },
}


def write_safetensors(folder: Path, tensors: Tensors) -> None:
    from safetensors.numpy import save_file

    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def write_torch(folder: Path, tensors: Tensors) -> None:
    import torch

    state = {name: torch.from_numpy(values) for name, values in tensors.items()}
    torch.save(state, folder / "pytorch_model.bin")


def write_bundle(
    folder: Path, tensors: Tensors, suffix: str = "", name: str = "bert_model.ckpt"
) -> None:
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(folder / name),
        tensor_names=[tensor + suffix for tensor in tensors],
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(values) for values in tensors.values()],
    )


def write_objects(folder: Path, tensors: Tensors) -> None:
    write_bundle(folder, tensors, "/.ATTRIBUTES/VARIABLE_VALUE")


def write_saved_model(folder: Path, tensors: Tensors) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.kept = [tf.Variable(values, name=name) for name, values in tensors.items()]
    tf.saved_model.save(module, str(folder))


# Kind of checkpoint -> dialect of its names, its configuration file, what writes it.
KINDS: dict[str, tuple[str, str, Callable[[Path, Tensors], None]]] = {
    "safetensors": ("hf", "config.json", write_safetensors),
    "bin": ("hf", "config.json", write_torch),
    "google": ("google", "bert_config.json", write_bundle),
    "tf-models": ("tf-models-objects", "bert_config.json", write_objects),
    "saved-model": ("tf-models", "bert_config.json", write_saved_model),
}


def write(folder: Path, size: str, *kinds: str) -> int:
    """Writes `folder/<kind>` for every kind; returns the bytes of the weights."""
    from keras_pretrained.layers.transformers.bert_weights import WEIGHT_MAPS
    from keras_pretrained.weights import save_weights

    maps = {weight_map.dialect: weight_map for weight_map in WEIGHT_MAPS}
    values, dims = random_weights(size)
    for kind in kinds:
        dialect, config_name, writer = KINDS[kind]
        (folder / kind).mkdir()
        writer(folder / kind, save_weights(values, maps[dialect], dims))
        # What Google's code calls "gelu" is what Hugging Face calls "gelu_new".
        config = {
            **SIZES[size],
            "hidden_act": "gelu_new" if config_name == "config.json" else "gelu",
            "model_type": "bert",
            "architectures": ["BertModel"],
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
        }
        (folder / kind / config_name).write_text(json.dumps(config))
    return sum(array.nbytes for array in values.values())


def random_weights(size: str) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Weights for a network of this size by their path in our layer, and the layer's sizes."""
    from keras_pretrained.layers import BertEncoder
    from keras_pretrained.layers.transformers.bert import CONFIG

    architecture = CONFIG.read(SIZES[size], size, "google")
    layer = BertEncoder(architecture=architecture)
    return random_values(layer), layer.architecture.dims()


def random_values(layer: Any) -> dict[str, np.ndarray]:
    """Random values for all of a layer's pretrained variables, by path."""
    random = np.random.default_rng(1)
    return {
        # Normalisation scales near 1, all else near 0, as in a trained network.
        path: random.standard_normal(tuple(variable.shape), "float32") * np.float32(0.02)
        + np.float32(path.endswith("/gamma"))
        for path, variable in layer.network_variables().items()
    }
