"""Golden data of BERT in the Hugging Face layouts, made by transformers itself.

Program: `transformers.BertForPreTraining` / `BertModel` in PyTorch, eager attention, eval mode.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0, safetensors 0.8.0 (and, as found when
it ran, in `bert_hf/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_bert_hf.py

Folders, each as it would be published:

    erf/                model.safetensors from BertForPreTraining (prefix `bert.`, heads `cls.*`)
    legacy_bin/         the same weights as pytorch_model.bin (zip), names `gamma` and `beta`,
                        the tied decoder matrix sharing its storage with the word embeddings
    legacy_stream_bin/  the same encoder as pytorch_model.bin (the stream before torch 1.6), no
                        prefix, with the int64 buffer `embeddings.position_ids`
    tanh/               other weights, BertModel, hidden_act "gelu_new", no prefix, safetensors

`erf/expected.npz` holds for the first three, `tanh/expected.npz` for the last.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert
import torch
from safetensors.numpy import load_file
from transformers import BertConfig, BertForPreTraining, BertModel

FOLDER = tiny_bert.HERE / "bert_hf"


def randomise(model: torch.nn.Module, seed: int) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = tiny_bert.random_weight(name, tuple(parameter.shape), seed)
            parameter.copy_(torch.from_numpy(values))


def build(architecture: Any, seed: int, **changes: Any) -> torch.nn.Module:
    config = BertConfig(**(tiny_bert.CONFIG | changes), layer_norm_eps=1e-12)
    config._attn_implementation = "eager"
    model = architecture(config).eval()
    randomise(model, seed)
    return model


def run(encoder: BertModel, heads: torch.nn.Module | None) -> dict[str, dict[str, np.ndarray]]:
    results = {}
    for name, batch in tiny_bert.inputs().items():
        with torch.no_grad():
            output = encoder(
                input_ids=torch.from_numpy(batch["token_ids"]).long(),
                token_type_ids=torch.from_numpy(batch["segment_ids"]).long(),
                attention_mask=torch.from_numpy(batch["padding_mask"]).long(),
                output_hidden_states=True,
                output_attentions=True,
            )
            results[name] = {
                "hidden_states": torch.stack(output.hidden_states).numpy(),
                "attentions": torch.stack([output.attentions[0], output.attentions[-1]]).numpy(),
                "pooled": output.pooler_output.numpy(),
            }
            if heads is not None:
                words, next_sentence = heads(output.last_hidden_state, output.pooler_output)
                results[name]["nsp_logits"] = next_sentence.numpy()
                if name == "short":
                    results[name]["mlm_logits"] = words.numpy()
    return results


def legacy_name(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def fresh(name: str) -> Path:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tiny_bert.write_vocabulary(folder)
    return folder


def save_safetensors(folder: Path, model: torch.nn.Module) -> None:
    model.save_pretrained(folder)
    # safetensors creates its file for the owner only.
    (folder / "model.safetensors").chmod(0o644)


def save_binary(folder: Path, tensors: dict[str, torch.Tensor], zipped: bool) -> dict[str, Any]:
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    # The keys of the config.json files published in 2018.
    tiny_bert.write_json(folder / "config.json", tiny_bert.CONFIG)
    return tiny_bert.describe({name: tensor.numpy() for name, tensor in tensors.items()})


def main() -> None:
    tensors: dict[str, Any] = {}
    arrays: dict[str, Any] = {}

    model = build(BertForPreTraining, seed=1)
    folder = fresh("erf")
    save_safetensors(folder, model)
    tensors["erf"] = tiny_bert.describe(load_file(folder / "model.safetensors"))
    arrays["erf"] = tiny_bert.save_expected(folder / "expected.npz", run(model.bert, model.cls))

    # `cls.predictions.bias` is the name of 2018 for what is `cls.predictions.decoder.bias` too.
    state = {
        legacy_name(name): tensor
        for name, tensor in model.state_dict().items()
        if name != "cls.predictions.decoder.bias"
    }
    tensors["legacy_bin"] = save_binary(fresh("legacy_bin"), state, zipped=True)

    state = dict(model.bert.state_dict())
    positions = tiny_bert.CONFIG["max_position_embeddings"]
    state["embeddings.position_ids"] = torch.arange(positions).reshape(1, -1)
    tensors["legacy_stream_bin"] = save_binary(fresh("legacy_stream_bin"), state, zipped=False)

    model = build(BertModel, seed=2, hidden_act="gelu_new")
    folder = fresh("tanh")
    save_safetensors(folder, model)
    tensors["tanh"] = tiny_bert.describe(load_file(folder / "model.safetensors"))
    arrays["tanh"] = tiny_bert.save_expected(folder / "expected.npz", run(model, None))

    tiny_bert.write_note(
        FOLDER,
        "transformers.BertForPreTraining (erf, legacy_bin, legacy_stream_bin), "
        "transformers.BertModel (tanh); PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        activation={
            "erf, legacy_bin, legacy_stream_bin": "gelu (erf)",
            "tanh": "gelu_new (tanh approximation)",
        },
        expectation_of={
            "erf": "erf/expected.npz",
            "legacy_bin": "erf/expected.npz",
            "legacy_stream_bin": "erf/expected.npz",
            "tanh": "tanh/expected.npz",
        },
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): embeddings, then each block",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "pooled": "tanh(dense(first token))",
            "mlm_logits, nsp_logits": "the pretraining heads, of the short batch and of both",
        },
        expected=arrays,
        tensors=tensors,
    )


if __name__ == "__main__":
    main()
