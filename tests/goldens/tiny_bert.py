"""What every BERT golden shares: one tiny architecture, vocabulary, set of inputs and weights.

Numbers are chosen so that mistakes show: 2 heads of size 8 (a swapped reshape is another array),
small embedding tables (their variance is about 1e-3, so a wrong LayerNorm epsilon is visible),
every bias and LayerNorm weight away from its initial value, the [PAD] row not zero.
"""

from __future__ import annotations

import json
import string
import sys
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
    *("the", "and", "##ing", "."),
]
CONFIG: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 14,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "type_vocab_size": 2,
    "vocab_size": len(VOCABULARY),
}
# 1 = real token. Rows of the long batch: no padding; right padding; left and middle padding.
PADDING_MASKS = {
    "long": ["111111111111", "111111110000", "001111001101"],
    "short": ["111111", "111000"],
}


def inputs() -> dict[str, dict[str, np.ndarray]]:
    """Two batches, (3, 12) and (2, 6): token ids, segment ids, padding mask, all int32."""
    generator = np.random.default_rng(2018)
    batches = {}
    for name, rows in PADDING_MASKS.items():
        mask = np.array([[int(character) for character in row] for row in rows], "int32")
        token_ids = generator.integers(1, len(VOCABULARY), mask.shape).astype("int32") * mask
        segment_ids = (np.cumsum(token_ids % 5 == 0, axis=1) % 2).astype("int32")
        batches[name] = {
            "token_ids": token_ids,
            "segment_ids": segment_ids,
            "padding_mask": mask,
        }
    return batches


def random_weight(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A float32 array that depends on the tensor's name and the seed only."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = generator.normal(size=shape)
    lowered = name.lower()
    if lowered.rsplit("/")[-1].rsplit(".")[-1] in ("gamma", "weight") and len(shape) == 1:
        values = 1 + 0.3 * values
    elif "embeddings" in lowered and len(shape) == 2:
        values = 0.02 * values
    else:
        values = 0.25 * values
    return values.astype("float32")


def save_expected(
    path: Path,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    batches: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> dict[str, list[Any]]:
    """Writes inputs and outputs as `<batch>_<array>`; returns name -> [dtype, *shape].

    The inputs are those of BERT unless others are given.
    """
    arrays = {
        f"{batch}_{name}": np.asarray(values)
        for source in (batches or inputs(), outputs)
        for batch, group in source.items()
        for name, values in group.items()
    }
    np.savez_compressed(path, **arrays)
    return describe(arrays)


def describe(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    return {name: [str(value.dtype), *value.shape] for name, value in arrays.items()}


def write_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_note(folder: Path, program: str, packages: list[str], **details: Any) -> None:
    """Writes `golden.json`: which program, in which versions, made this folder, and how."""
    note = {
        "program": program,
        "versions": {
            "python": ".".join(map(str, sys.version_info[:3])),
            **{package: version(package) for package in packages},
        },
        "command": f"python tests/goldens/{Path(sys.argv[0]).name}",
        **details,
    }
    text = json.dumps(note, indent=2)
    # One line for each [dtype, shape...] list: json's indentation would make it six.
    compact = "\n".join(_joined(text.split("\n")))
    (folder / "golden.json").write_text(compact + "\n", encoding="utf-8")


def _joined(lines: list[str]) -> list[str]:
    joined: list[str] = []
    inside = False
    for line in lines:
        if inside:
            closing = line.strip() in ("]", "],")
            joined[-1] += line.strip() + (" " if line.endswith(",") and not closing else "")
        else:
            joined.append(line)
        if line.endswith("["):
            inside = True
        elif line.strip() in ("]", "],"):
            inside = False
    return joined
