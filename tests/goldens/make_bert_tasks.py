"""Golden data of fine-tuned BERTs in the Hugging Face layout, made by transformers itself.

Program: `transformers.BertForQuestionAnswering` and `BertForTokenClassification` in PyTorch, eager
attention, eval mode.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0 (and, as found when it ran, in
`bert_tasks/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_bert_tasks.py

Each folder of `bert_tasks` is as `save_pretrained` publishes a model: `model.safetensors` with the
prefix `bert.` and the head, `config.json`, `vocab.txt`; `expected.npz` has inputs and logits.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import tiny_bert
import torch
from make_bert_hf import build
from safetensors.numpy import load_file
from transformers import BertForQuestionAnswering, BertForTokenClassification

FOLDER = tiny_bert.HERE / "bert_tasks"
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "question_answering": (BertForQuestionAnswering, {}),
    "token_classification": (
        BertForTokenClassification,
        {
            "id2label": dict(enumerate(TAGS)),
            "label2id": {tag: number for number, tag in enumerate(TAGS)},
        },
    ),
}


def logits(model: torch.nn.Module, batch: dict[str, np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        found = model(
            input_ids=torch.from_numpy(batch["token_ids"]).long(),
            token_type_ids=torch.from_numpy(batch["segment_ids"]).long(),
            attention_mask=torch.from_numpy(batch["padding_mask"]).long(),
        )
    if hasattr(found, "logits"):
        return found.logits.numpy()
    return torch.stack([found.start_logits, found.end_logits], dim=1).numpy()


def main() -> None:
    arrays, tensors = {}, {}
    shutil.rmtree(FOLDER, ignore_errors=True)
    for seed, (name, (architecture, changes)) in enumerate(MODELS.items(), 21):
        folder = FOLDER / name
        folder.mkdir(parents=True)
        model = build(architecture, seed, **changes)
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        tiny_bert.write_vocabulary(folder)
        tensors[name] = tiny_bert.describe(load_file(folder / "model.safetensors"))
        outputs = {
            batch: {"logits": logits(model, values)} for batch, values in tiny_bert.inputs().items()
        }
        arrays[name] = tiny_bert.save_expected(folder / "expected.npz", outputs)
    tiny_bert.write_note(
        FOLDER,
        "transformers.BertForQuestionAnswering, transformers.BertForTokenClassification; PyTorch, "
        "eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        meaning={"logits": "(batch, 2, seq): begin and end; (batch, seq, tags)"},
        expected=arrays,
        tensors=tensors,
    )


if __name__ == "__main__":
    main()
