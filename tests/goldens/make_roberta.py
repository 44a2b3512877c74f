"""Golden data of RoBERTa in Hugging Face's and fairseq's layouts; transformers makes the numbers.

Program: `transformers.RobertaForMaskedLM` / `RobertaModel` in PyTorch, eager attention, eval mode.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0, safetensors 0.8.0 (and, as found when
it ran, in `roberta/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_roberta.py

Folders, each as it would be published:

    hf/             model.safetensors from RobertaForMaskedLM (prefix `roberta.`, head `lm_head.*`,
                    no pooler); the row of token types is zero, as in the published networks
    fairseq/        the same weights as model.pt of 2019: prefix `decoder.`, fused projections,
                    `emb_layer_norm`, settings in `args`
    fairseq_split/  the same weights as fairseq saves them since 2021: prefix `encoder.`, split
                    projections, `layernorm_embedding`, settings in `cfg`, a classification head
    hf_pooler/      other weights, RobertaModel with a pooler, no prefix, pytorch_model.bin; the row
                    of token types is not zero

`hf/expected.npz` holds for the first three, `hf_pooler/expected.npz` for the last. fairseq's names
are the table below, written down from fairseq's modules `roberta` and `transformer_encoder`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert
import torch
from safetensors.numpy import load_file
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaModel

FOLDER = tiny_bert.HERE / "roberta"
BYTES_AND_MERGES = 256 + 20
PAD = 1
POSITIONS = 14

FAIRSEQ = {
    "embeddings.word_embeddings": "embed_tokens",
    "embeddings.position_embeddings": "embed_positions",
    "embeddings.LayerNorm": "emb_layer_norm",
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "output.LayerNorm": "final_layer_norm",
}


def vocabulary() -> tuple[dict[str, int], list[str], list[str]]:
    """The smallest tokens of `byte_level_bpe`: encoder.json, merges, and fairseq's order of ids."""
    source = tiny_bert.HERE / "byte_level_bpe"
    encoder = json.loads((source / "encoder.json").read_text(encoding="utf-8"))
    kept = {token: index for token, index in encoder.items() if index < BYTES_AND_MERGES}
    lines = (source / "vocab.bpe").read_text(encoding="utf-8").split("\n")
    merges = lines[1 : 1 + BYTES_AND_MERGES - 256]
    assert all("".join(merge.split(" ")) in kept for merge in merges)
    # Ordered by how often each occurred in training; here, by chance.
    order = np.random.default_rng(2019).permutation(BYTES_AND_MERGES)
    return kept, merges, [str(index) for index in order]


def hf_ids() -> dict[str, int]:
    encoder, _, order = vocabulary()
    tokens = {str(index): token for token, index in encoder.items()}
    names = ["<s>", "<pad>", "</s>", "<unk>", *(tokens[word] for word in order), "<mask>"]
    return {name: index for index, name in enumerate(names)}


def write_tokenizer(folder: Path, fairseq: bool) -> None:
    encoder, merges, order = vocabulary()
    lines = "\n".join(["#version: 0.2", *merges]) + "\n"
    if fairseq:
        (folder / "encoder.json").write_text(json.dumps(encoder), encoding="utf-8")
        (folder / "vocab.bpe").write_text(lines, encoding="utf-8")
        counts = [f"{word} {len(order) - place}" for place, word in enumerate(order)]
        (folder / "dict.txt").write_text("\n".join(counts) + "\n", encoding="utf-8")
    else:
        (folder / "vocab.json").write_text(
            json.dumps(hf_ids(), ensure_ascii=False), encoding="utf-8"
        )
        (folder / "merges.txt").write_text(lines, encoding="utf-8")


def inputs() -> dict[str, dict[str, np.ndarray]]:
    """The masks of the BERT goldens; real ids are none of the first four, padding is 1."""
    generator = np.random.default_rng(2019)
    batches = {}
    for name, rows in tiny_bert.PADDING_MASKS.items():
        mask = np.array([[int(character) for character in row] for row in rows], "int32")
        token_ids = generator.integers(4, len(hf_ids()), mask.shape).astype("int32")
        batches[name] = {"token_ids": np.where(mask, token_ids, PAD), "padding_mask": mask}
    return batches


def build(architecture: Any, seed: int, **options: Any) -> torch.nn.Module:
    config = RobertaConfig(
        vocab_size=len(hf_ids()),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=POSITIONS + PAD + 1,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    config._attn_implementation = "eager"
    model = architecture(config, **options).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = tiny_bert.random_weight(name, tuple(parameter.shape), seed)
            parameter.copy_(torch.from_numpy(values))
    return model


def run(encoder: RobertaModel, head: torch.nn.Module | None) -> dict[str, dict[str, np.ndarray]]:
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
            if head is None:
                results[name]["pooled"] = output.pooler_output.numpy()
            elif name == "short":
                results[name]["mlm_logits"] = head(output.last_hidden_state).numpy()
    return results


def fairseq_state(model: RobertaForMaskedLM, split: bool) -> OrderedDict[str, torch.Tensor]:
    """The weights under fairseq's names."""
    side = "encoder" if split else "decoder"
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    parts: dict[str, list[torch.Tensor]] = {}
    for name, tensor in model.roberta.state_dict().items():
        if "token_type" in name or "position_ids" in name:
            continue
        name = name.replace("encoder.layer.", "layers.")
        for theirs, ours in FAIRSEQ.items():
            module, _, kind = name.rpartition(".")
            if module == theirs or (module.startswith("layers.") and module.endswith(f".{theirs}")):
                name = f"{module.removesuffix(theirs)}{ours}.{kind}"
                break
        else:
            raise KeyError(name)
        if split:
            name = name.replace("emb_layer_norm", "layernorm_embedding")
        elif "_proj" in name and "out_proj" not in name:
            stem, _, kind = name.rpartition(".")
            fused = f"{stem.rpartition('.')[0]}.in_proj_{kind}"
            parts.setdefault(fused, []).append(tensor)
            continue
        state[f"{side}.sentence_encoder.{name}"] = tensor.clone()
    for name, tensors in parts.items():
        assert len(tensors) == 3
        state[f"{side}.sentence_encoder.{name}"] = torch.cat(tensors)
    for name, tensor in model.lm_head.state_dict().items():
        if name == "decoder.bias":
            continue
        name = name.replace("decoder.", "")
        state[f"{side}.lm_head.{name}"] = tensor.clone()
    if split:
        state["encoder.sentence_encoder.version"] = torch.tensor([3.0])
        state["classification_heads.mnli.dense.weight"] = torch.ones(16, 16)
    return state


def settings() -> argparse.Namespace:
    return argparse.Namespace(
        arch="roberta_base",
        task="masked_lm",
        encoder_layers=3,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=2,
        dropout=0.1,
        attention_dropout=0.05,
        activation_fn="gelu",
        max_positions=POSITIONS,
        adam_betas="(0.9, 0.98)",
        lr=[0.0006],
    )


def save_fairseq(name: str, model: RobertaForMaskedLM, split: bool) -> dict[str, Any]:
    folder = fresh(name, fairseq=True)
    state = fairseq_state(model, split)
    content: dict[str, Any] = {"args": settings(), "model": state}
    if split:
        cfg = {"_name": None, "common": {"seed": 1, "fp16": True}, "model": settings()}
        content = {"args": None, "cfg": cfg, "model": state, "extra_state": {"epoch": 3}}
    torch.save(content, folder / "model.pt")
    return tiny_bert.describe({key: tensor.numpy() for key, tensor in state.items()})


def fresh(name: str, fairseq: bool = False) -> Path:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tokenizer(folder, fairseq)
    return folder


def main() -> None:
    tensors: dict[str, Any] = {}
    arrays: dict[str, Any] = {}

    model = build(RobertaForMaskedLM, seed=1)
    with torch.no_grad():
        model.roberta.embeddings.token_type_embeddings.weight.zero_()
    folder = fresh("hf")
    model.save_pretrained(folder)
    # safetensors creates its file for the owner only.
    (folder / "model.safetensors").chmod(0o644)
    tensors["hf"] = tiny_bert.describe(load_file(folder / "model.safetensors"))
    arrays["hf"] = tiny_bert.save_expected(
        folder / "expected.npz", run(model.roberta, model.lm_head), inputs()
    )
    tensors["fairseq"] = save_fairseq("fairseq", model, split=False)
    tensors["fairseq_split"] = save_fairseq("fairseq_split", model, split=True)

    model = build(RobertaModel, seed=2, add_pooling_layer=True)
    folder = fresh("hf_pooler")
    model.config.save_pretrained(folder)
    state = dict(model.state_dict())
    state["embeddings.position_ids"] = torch.arange(POSITIONS + 2).reshape(1, -1)
    torch.save(state, folder / "pytorch_model.bin")
    tensors["hf_pooler"] = tiny_bert.describe({key: value.numpy() for key, value in state.items()})
    arrays["hf_pooler"] = tiny_bert.save_expected(
        folder / "expected.npz", run(model, None), inputs()
    )

    tiny_bert.write_note(
        FOLDER,
        "transformers.RobertaForMaskedLM (hf, fairseq, fairseq_split), transformers.RobertaModel "
        "(hf_pooler); PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        expectation_of={
            "hf": "hf/expected.npz",
            "fairseq": "hf/expected.npz",
            "fairseq_split": "hf/expected.npz",
            "hf_pooler": "hf_pooler/expected.npz",
        },
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): embeddings, then each block",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "pooled": "tanh(dense(first token)), of hf_pooler",
            "mlm_logits": "of RobertaForMaskedLM, every position of the short batch",
        },
        expected=arrays,
        tensors=tensors,
    )


if __name__ == "__main__":
    main()
