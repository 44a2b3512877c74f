"""Golden data of ELECTRA, made by transformers, also in the layout of Google's checkpoints.

Program: `transformers.ElectraForPreTraining` / `ElectraForMaskedLM` in PyTorch, eager attention,
eval mode. google-research/electra is no package; its checkpoint is written by TensorFlow itself
(`tf.raw_ops.SaveV2`) from the weights of both networks, under the names that its code gives them:
the table below says what each is called, and has nothing in common with the library's own.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0, safetensors 0.8.0; tensorflow 2.15.1 (and,
as found when they ran, in `golden.json`).
Commands, from the root of the repository, each in an environment with the versions of its row:

    python tests/goldens/make_electra.py hf
    python tests/goldens/make_electra.py google

    electra_hf/discriminator/  model.safetensors from ElectraForPreTraining (prefix `electra.`,
                               head)
    electra_hf/generator/      model.safetensors from ElectraForMaskedLM: narrower, other weights
    electra_hf/wide/           other weights, ElectraModel, no prefix: embeddings as wide as hidden
                               states, so no projection
    electra_google/            electra_tiny.{index,data-...}: both networks, heads, step and slots,
                               and vocab.txt; no configuration, as published. One head, which is
                               what its authors' program gives networks so narrow
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import numpy as np
import tiny_bert

HF, GOOGLE = tiny_bert.HERE / "electra_hf", tiny_bert.HERE / "electra_google"
CONFIG: dict[str, Any] = {
    **tiny_bert.CONFIG,
    "embedding_size": 8,
}
ONE_HEAD = {"num_attention_heads": 1}
NARROW = {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, **ONE_HEAD}

# torch -> Google, of what stands in a block.
BLOCK = {
    "attention.self.query": "attention/self/query",
    "attention.self.key": "attention/self/key",
    "attention.self.value": "attention/self/value",
    "attention.output.dense": "attention/output/dense",
    "attention.output.LayerNorm": "attention/output/LayerNorm",
    "intermediate.dense": "intermediate/dense",
    "output.dense": "output/dense",
    "output.LayerNorm": "output/LayerNorm",
}


def google_names(scope: str) -> dict[str, str]:
    """Name of a torch module -> name of the same in the scope of one of the two networks."""
    names = {
        "embeddings.LayerNorm": "electra/embeddings/LayerNorm",
        "embeddings_project": f"{scope}/embeddings_project",
    }
    for layer in range(CONFIG["num_hidden_layers"]):
        for theirs, googles in BLOCK.items():
            names[f"encoder.layer.{layer}.{theirs}"] = f"{scope}/encoder/layer_{layer}/{googles}"
    return names


def hf() -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import (
        ElectraConfig,
        ElectraForMaskedLM,
        ElectraForPreTraining,
        ElectraModel,
    )

    shutil.rmtree(HF, ignore_errors=True)
    shutil.rmtree(GOOGLE, ignore_errors=True)
    GOOGLE.mkdir()

    def build(architecture: Any, seed: int, **changes: Any) -> torch.nn.Module:
        config = ElectraConfig(**(CONFIG | changes))
        config._attn_implementation = "eager"
        model = architecture(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                # Not a table: its values are to be as large as those of other projections.
                plain = name.replace("embeddings_project", "projection")
                values = tiny_bert.random_weight(plain, tuple(parameter.shape), seed)
                parameter.copy_(torch.from_numpy(values))
        return model

    def run(encoder: Any, language_model: Any = None) -> dict[str, dict[str, np.ndarray]]:
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
            scores = output.attentions
            results[name] = {
                "hidden_states": torch.stack(output.hidden_states).numpy(),
                "attentions": torch.stack([scores[0], scores[-1]]).numpy(),
            }
            if language_model is not None and name == "short":
                with torch.no_grad():
                    made = language_model.generator_predictions(output.last_hidden_state)
                    results[name]["mlm_logits"] = language_model.generator_lm_head(made).numpy()
        return results

    tensors, arrays = {}, {}
    for name, architecture, seed, changes in (
        ("discriminator", ElectraForPreTraining, 8, {}),
        ("generator", ElectraForMaskedLM, 9, {"hidden_size": 12, "num_attention_heads": 3}),
        ("wide", ElectraModel, 10, {"embedding_size": CONFIG["hidden_size"]}),
    ):
        model = build(architecture, seed, **changes)
        folder = HF / name
        folder.mkdir(parents=True)
        model.save_pretrained(folder)
        # safetensors creates its file for the owner only.
        (folder / "model.safetensors").chmod(0o644)
        tiny_bert.write_vocabulary(folder)
        encoder = getattr(model, "electra", model)
        language_model = model if name == "generator" else None
        results = run(encoder, language_model)
        arrays[name] = tiny_bert.save_expected(folder / "expected.npz", results)
        tensors[name] = tiny_bert.describe(load_file(folder / "model.safetensors"))
    tiny_bert.write_note(
        HF,
        "transformers.ElectraForPreTraining (discriminator), ElectraForMaskedLM (generator), "
        "ElectraModel (wide); PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): projected embeddings, then blocks",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "mlm_logits": "of ElectraForMaskedLM (generator), every position of the short batch",
        },
        expected=arrays,
        tensors=tensors,
    )

    # The two networks of the Google checkpoint, with the same embeddings.
    discriminator = build(ElectraModel, 11, **ONE_HEAD)
    generator = build(ElectraModel, 12, **NARROW)
    generator.embeddings = discriminator.embeddings
    language_model = build(ElectraForMaskedLM, 13, **NARROW)
    language_model.generator_lm_head.weight = discriminator.embeddings.word_embeddings.weight
    saved: dict[str, np.ndarray] = {
        "generator_predictions/dense/kernel": language_model.generator_predictions.dense.weight.T,
        "generator_predictions/dense/bias": language_model.generator_predictions.dense.bias,
        "generator_predictions/LayerNorm/gamma": (
            language_model.generator_predictions.LayerNorm.weight
        ),
        "generator_predictions/LayerNorm/beta": language_model.generator_predictions.LayerNorm.bias,
        "generator_predictions/output_bias": language_model.generator_lm_head.bias,
    }
    saved = {name: value.detach().numpy() for name, value in saved.items()}
    note = {}
    for scope, model in (("electra", discriminator), ("generator", generator)):
        names = google_names(scope)
        for name, value in model.state_dict().items():
            module, _, kind = name.rpartition(".")
            array = value.numpy()
            if name.endswith("_embeddings.weight"):
                saved[f"electra/embeddings/{module.rpartition('.')[2]}"] = array
            elif kind in ("weight", "bias"):
                is_norm = "LayerNorm" in name
                spelled = {"weight": "gamma" if is_norm else "kernel", "bias": "bias"}[kind]
                spelled = "beta" if is_norm and kind == "bias" else spelled
                saved[f"{names[module]}/{spelled}"] = array.T if spelled == "kernel" else array
        file = "expected" if scope == "electra" else "expected_generator"
        head = language_model if scope == "generator" else None
        note[file] = tiny_bert.save_expected(GOOGLE / f"{file}.npz", run(model, head))
    np.savez_compressed(GOOGLE / "torch.npz", **saved)
    tiny_bert.write_vocabulary(GOOGLE)
    tiny_bert.write_note(
        GOOGLE,
        "transformers.ElectraModel, twice, ElectraForMaskedLM's head; PyTorch, eager attention, "
        "eval mode, float32. The checkpoint of their weights is written by tensorflow 2.15.1, "
        "tf.raw_ops.SaveV2",
        ["transformers", "torch", "numpy"],
        meaning={
            "expected": "of the discriminator",
            "expected_generator": "of the generator, which has the discriminator's embeddings",
        },
        expected=note,
        tensors=tiny_bert.describe(saved),
    )


def google() -> None:
    """Writes what `hf` left in `torch.npz` as a TensorFlow checkpoint."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf

    with np.load(GOOGLE / "torch.npz") as stored:
        tensors: dict[str, Any] = dict(stored)
    hidden = CONFIG["hidden_size"]
    for name, shape in {
        "electra/embeddings/word_embeddings/adam_m": (61, 8),
        "electra/embeddings/word_embeddings/adam_v": (61, 8),
        "generator/encoder/layer_0/output/dense/bias/adam_m": (12,),
        "discriminator_predictions/dense/bias": (hidden,),
        "discriminator_predictions/dense_1/kernel": (hidden, 1),
        "generator_predictions/LayerNorm/beta/adam_v": (8,),
    }.items():
        tensors[name] = tiny_bert.random_weight(name, shape, 13)
    tensors["global_step"] = np.array(1000, np.int64)
    part = str(GOOGLE / "part")
    tf.raw_ops.SaveV2(
        prefix=part,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(value) for value in tensors.values()],
    )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[part],
        destination_prefix=str(GOOGLE / "electra_tiny"),
        delete_old_dirs=False,
    )
    (GOOGLE / "torch.npz").unlink()


if __name__ == "__main__":
    {"google": google, "hf": hf}[sys.argv[1]]()
