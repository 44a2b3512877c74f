"""Golden data of DistilBERT, made by transformers itself.

Program: `transformers.DistilBertForMaskedLM` / `DistilBertModel` in PyTorch, eager attention, eval
mode.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0, safetensors 0.8.0 (and, as found when
it ran, in `distilbert/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_distilbert.py

Folders, each as it would be published and with an `expected.npz` of its own:

    masked_lm/   model.safetensors from DistilBertForMaskedLM: prefix `distilbert.`, heads `vocab_*`
    sinusoidal/  other weights, DistilBertModel with `sinusoidal_pos_embds`, relu, no prefix,
                 pytorch_model.bin; the positions are stored all the same
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert
import torch
from safetensors.numpy import load_file
from transformers import DistilBertConfig, DistilBertForMaskedLM, DistilBertModel

FOLDER = tiny_bert.HERE / "distilbert"


def build(architecture: Any, seed: int, **changes: Any) -> torch.nn.Module:
    config = DistilBertConfig(
        vocab_size=len(tiny_bert.VOCABULARY),
        dim=16,
        n_layers=3,
        n_heads=2,
        hidden_dim=24,
        max_position_embeddings=14,
        **changes,
    )
    config._attn_implementation = "eager"
    model = architecture(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if config.sinusoidal_pos_embds and "position_embeddings" in name:
                continue
            values = tiny_bert.random_weight(name, tuple(parameter.shape), seed)
            parameter.copy_(torch.from_numpy(values))
    return model


def inputs() -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {key: batch[key] for key in ("token_ids", "padding_mask")}
        for name, batch in tiny_bert.inputs().items()
    }


def run(model: Any) -> dict[str, dict[str, np.ndarray]]:
    encoder = getattr(model, "distilbert", model)
    results = {}
    for name, batch in inputs().items():
        with torch.no_grad():
            output = encoder(
                input_ids=torch.from_numpy(batch["token_ids"]).long(),
                attention_mask=torch.from_numpy(batch["padding_mask"]).long(),
                output_hidden_states=True,
                output_attentions=True,
            )
        results[name] = {
            "hidden_states": torch.stack(output.hidden_states).numpy(),
            "attentions": torch.stack([output.attentions[0], output.attentions[-1]]).numpy(),
        }
        if encoder is not model and name == "short":
            with torch.no_grad():
                words = model(
                    input_ids=torch.from_numpy(batch["token_ids"]).long(),
                    attention_mask=torch.from_numpy(batch["padding_mask"]).long(),
                )
            results[name]["mlm_logits"] = words.logits.numpy()
    return results


def fresh(name: str) -> Path:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tiny_bert.write_vocabulary(folder)
    return folder


def main() -> None:
    tensors: dict[str, Any] = {}
    arrays: dict[str, Any] = {}

    model = build(DistilBertForMaskedLM, seed=1)
    folder = fresh("masked_lm")
    model.save_pretrained(folder)
    # safetensors creates its file for the owner only.
    (folder / "model.safetensors").chmod(0o644)
    tensors["masked_lm"] = tiny_bert.describe(load_file(folder / "model.safetensors"))
    arrays["masked_lm"] = tiny_bert.save_expected(folder / "expected.npz", run(model), inputs())

    model = build(DistilBertModel, seed=2, sinusoidal_pos_embds=True, activation="relu")
    folder = fresh("sinusoidal")
    model.config.save_pretrained(folder)
    state = dict(model.state_dict())
    torch.save(state, folder / "pytorch_model.bin")
    tensors["sinusoidal"] = tiny_bert.describe({name: each.numpy() for name, each in state.items()})
    arrays["sinusoidal"] = tiny_bert.save_expected(folder / "expected.npz", run(model), inputs())

    tiny_bert.write_note(
        FOLDER,
        "transformers.DistilBertForMaskedLM (masked_lm), transformers.DistilBertModel "
        "(sinusoidal); PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): embeddings, then each block",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "mlm_logits": "of DistilBertForMaskedLM, every position of the short batch",
        },
        expected=arrays,
        tensors=tensors,
    )


if __name__ == "__main__":
    main()
