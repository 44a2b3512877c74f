"""Golden data of GPT-2, made by transformers itself.

Program: `transformers.GPT2LMHeadModel` in PyTorch, eager attention, eval mode.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0, safetensors 0.8.0 (and, as found when
it ran, in `gpt2/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_gpt2.py

Then, with TensorFlow in place of torch, OpenAI's layout of the same weights, by the names and
shapes of the published checkpoint:

    python tests/goldens/make_gpt2.py openai

Folders, with `expected.npz` beside the first:

    hf/      model.safetensors from GPT2LMHeadModel: prefix `transformer.`; vocab.json, merges.txt
    openai/  model.ckpt, hparams.json, checkpoint, encoder.json, vocab.bpe
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert

FOLDER = tiny_bert.HERE / "gpt2"
BYTE_LEVEL = tiny_bert.HERE / "byte_level_bpe"
BYTES_AND_MERGES = 270
SIZES = {"vocab_size": BYTES_AND_MERGES + 1, "n_embd": 16, "n_layer": 3, "n_head": 2}
PROMPTS = [[5, 9, 100], [17, 3, 44]]
NEW_TOKENS = 24
LENGTH = 40


def inputs() -> dict[str, dict[str, np.ndarray]]:
    """Two batches: rows without padding, padded on the right, and on the left."""
    generator = np.random.default_rng(2019)
    batches = {}
    for name, rows in {
        "long": ["111111111111", "111111110000", "000011111111"],
        "short": ["11111", "00111"],
    }.items():
        mask = np.array([[int(character) for character in row] for row in rows], "int32")
        token_ids = generator.integers(0, SIZES["vocab_size"], mask.shape).astype("int32")
        batches[name] = {"token_ids": token_ids, "padding_mask": mask}
    return batches


def write_tokenizer(folder: Path, vocabulary: str, merges: str) -> None:
    """The smallest tokens of `byte_level_bpe` and the end of texts, under the given file names."""
    encoder = json.loads((BYTE_LEVEL / "encoder.json").read_text(encoding="utf-8"))
    kept = {token: index for token, index in encoder.items() if index < BYTES_AND_MERGES}
    kept["<|endoftext|>"] = BYTES_AND_MERGES
    lines = (BYTE_LEVEL / "vocab.bpe").read_text(encoding="utf-8").split("\n")
    text = "\n".join(["#version: 0.2", *lines[1 : 1 + BYTES_AND_MERGES - 256]]) + "\n"
    (folder / vocabulary).write_text(json.dumps(kept), encoding="utf-8")
    (folder / merges).write_text(text, encoding="utf-8")


def make_hf() -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_positions=LENGTH, bos_token_id=0, eos_token_id=0, **SIZES)
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = tiny_bert.random_weight(name, tuple(parameter.shape), seed=1)
            # Positions count enough that a greedy continuation does not repeat one token.
            values *= {"wte.weight": 4, "wpe.weight": 24}.get(name.removeprefix("transformer."), 1)
            parameter.copy_(torch.from_numpy(values))
    shutil.rmtree(FOLDER, ignore_errors=True)
    folder = FOLDER / "hf"
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    (folder / "model.safetensors").chmod(0o644)
    write_tokenizer(folder, "vocab.json", "merges.txt")
    results = {}
    for name, batch in inputs().items():
        mask = torch.from_numpy(batch["padding_mask"]).long()
        with torch.no_grad():
            output = model(
                input_ids=torch.from_numpy(batch["token_ids"]).long(),
                attention_mask=mask,
                # As `generate` does for padded prompts.
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                output_hidden_states=True,
                output_attentions=True,
            )
        results[name] = {
            "hidden_states": torch.stack(output.hidden_states).numpy(),
            "attentions": torch.stack([output.attentions[0], output.attentions[-1]]).numpy(),
            "logits": output.logits.numpy(),
        }
    greedy = model.generate(
        torch.tensor(PROMPTS),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=None,
    )
    results["greedy"] = {"token_ids": greedy.numpy().astype("int32")}
    arrays = tiny_bert.save_expected(folder / "expected.npz", results, inputs())
    tiny_bert.write_note(
        FOLDER,
        "transformers.GPT2LMHeadModel; PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): embeddings, each block but the "
            "last, and the last one behind the final normalisation",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "logits": "(batch, seq, vocabulary)",
            "greedy_token_ids": f"(2, {3 + NEW_TOKENS}): prompts and their greedy continuation",
        },
        expected=arrays,
    )


def make_openai() -> None:
    import tensorflow as tf
    from safetensors.numpy import load_file

    names = {"wte": "wte.weight", "wpe": "wpe.weight", "ln_f/g": "ln_f.weight"}
    names["ln_f/b"] = "ln_f.bias"
    for layer in range(SIZES["n_layer"]):
        for norm in ("ln_1", "ln_2"):
            names[f"h{layer}/{norm}/g"] = f"h.{layer}.{norm}.weight"
            names[f"h{layer}/{norm}/b"] = f"h.{layer}.{norm}.bias"
        for dense in ("attn/c_attn", "attn/c_proj", "mlp/c_fc", "mlp/c_proj"):
            theirs = f"h.{layer}.{dense.replace('/', '.')}"
            names[f"h{layer}/{dense}/w"] = f"{theirs}.weight"
            names[f"h{layer}/{dense}/b"] = f"{theirs}.bias"
    stored = load_file(FOLDER / "hf" / "model.safetensors")
    folder = FOLDER / "openai"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        for name, source in names.items():
            values: Any = stored[f"transformer.{source}"]
            # The kernels are those of convolutions of width one.
            values = values[None] if name.endswith("/w") else values
            tf.compat.v1.get_variable(f"model/{name}", initializer=tf.constant(values))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)
        saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False)
    sizes = {name: SIZES[name] for name in ("n_embd", "n_head", "n_layer")}
    hparams = {"n_vocab": SIZES["vocab_size"], "n_ctx": LENGTH, **sizes}
    (folder / "hparams.json").write_text(json.dumps(hparams, indent=2) + "\n", encoding="utf-8")
    write_tokenizer(folder, "encoder.json", "vocab.bpe")


if __name__ == "__main__":
    make_openai() if sys.argv[1:] == ["openai"] else make_hf()
