"""Golden scores of multiple choice, made by transformers itself.

Program: `transformers.BertForMultipleChoice` and `BertTokenizer` in PyTorch, eager attention, eval
mode. Its encoder has the weights of `bert_hf/erf`.
Versions: Python 3.11, transformers 5.23.0, torch 2.13.0 (and, as found when it ran, in
`bert_multiple_choice/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_bert_multiple_choice.py
"""

from __future__ import annotations

import numpy as np
import tiny_bert
import torch
from make_bert_hf import build
from transformers import BertForMultipleChoice, BertTokenizer

FOLDER = tiny_bert.HERE / "bert_multiple_choice"
QUESTIONS = {
    "the cat and": ["a dog.", "the fog.", "ending"],
    "a b c d e f g h i j": ["x", "k l m n o p q r", "y and z"],
    "q": ["a b c d e f g h i j k l m n", ".", "the the"],
}
ANSWERS = [1, 0, 2]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    tokenizer = BertTokenizer(str(tiny_bert.HERE / "bert_hf" / "erf" / "vocab.txt"))
    model = build(BertForMultipleChoice, seed=1)
    inputs = tokenizer(
        [prompt for prompt, choices in QUESTIONS.items() for _ in choices],
        [choice for choices in QUESTIONS.values() for choice in choices],
        truncation="longest_first",
        max_length=tiny_bert.CONFIG["max_position_embeddings"],
        padding=True,
        return_tensors="pt",
    )
    rows = {
        name: tensor.reshape(len(QUESTIONS), -1, tensor.shape[1]) for name, tensor in inputs.items()
    }
    with torch.no_grad():
        output = model(**rows, labels=torch.tensor(ANSWERS))
    arrays = {
        "scores": output.logits.numpy(),
        "loss": output.loss.numpy(),
        "kernel": model.classifier.weight.detach().numpy().T,
        "bias": model.classifier.bias.detach().numpy(),
    }
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    tiny_bert.write_note(
        FOLDER,
        "transformers.BertForMultipleChoice; PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "numpy"],
        questions=QUESTIONS,
        answers=ANSWERS,
        meaning={
            "scores": "(questions, choices): of each pair (prompt, choice)",
            "loss": "cross-entropy with the answers",
            "kernel, bias": "of the head",
        },
        expected=tiny_bert.describe(arrays),
    )


if __name__ == "__main__":
    main()
