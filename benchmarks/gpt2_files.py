"""A GPT-2 with random weights, as OpenAI published it and as Hugging Face does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.bert_files import random_values, write_bundle, write_safetensors

SIZES = {
    "124M": {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12},
    "tiny": {"n_vocab": 400, "n_ctx": 64, "n_embd": 32, "n_head": 2, "n_layer": 2},
}

# So that continuations vary: in a new network the most likely token is mostly the last one again.
_KERNEL_SCALE = np.float32(4)


def write(folder: Path, size: str) -> int:
    """Writes `folder/openai` by TensorFlow and `folder/hf` by safetensors, of the same numbers.

    Returns:
        The bytes of the weights.
    """
    from keras_pretrained.layers import GPT2Decoder
    from keras_pretrained.layers.transformers.gpt2 import CONFIG
    from keras_pretrained.layers.transformers.gpt2_weights import HF, OPENAI
    from keras_pretrained.weights import save_weights

    sizes = SIZES[size]
    layer = GPT2Decoder(architecture=CONFIG.read(sizes, size, "openai"))
    dims, values = layer.architecture.dims(), random_values(layer)
    for path in values:
        if path.endswith("kernel"):
            values[path] *= _KERNEL_SCALE
    for dialect in ("openai", "hf"):
        (folder / dialect).mkdir()
    write_bundle(folder / "openai", save_weights(values, OPENAI, dims), name="model.ckpt")
    (folder / "openai" / "hparams.json").write_text(json.dumps(sizes))
    write_safetensors(folder / "hf", save_weights(values, HF, dims))
    names = {"n_vocab": "vocab_size", "n_ctx": "n_positions"}
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **{names.get(name, name): number for name, number in sizes.items()},
    }
    (folder / "hf" / "config.json").write_text(json.dumps(config))
    return sum(array.nbytes for array in values.values())
