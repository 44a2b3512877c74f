"""The texts beside the weights: a JSON configuration and a vocabulary."""

from __future__ import annotations

import json
import random
from pathlib import Path

from keras_pretrained.presets import SourceError, read_json
from keras_pretrained.tokenizers.vocabulary import read_vocabulary
from tests.attacks.fuzzing.mutations import (
    damaged_bytes,
    damaged_json,
    damaged_list,
    damaged_text,
    json_bytes,
)
from tests.attacks.fuzzing.target import Target

_CONFIG = {
    "architectures": ["BertModel"],
    "hidden_size": 128,
    "layer_norm_eps": 1e-12,
    "id2label": {"0": "no", "1": "yes"},
    "task": None,
    "nested": {"a": [1, 2, {"b": True}]},
}


def json_config(seeds: Path) -> Target:
    def make(chance: random.Random) -> dict[str, bytes]:
        if chance.random() < 0.1:
            return {"config.json": damaged_bytes(json.dumps(_CONFIG).encode(), chance)}
        return {"config.json": json_bytes(damaged_json(_CONFIG, chance), chance)}

    return Target(
        "json config",
        make,
        lambda: [{"config.json": json.dumps(_CONFIG).encode()}],
        read_json,
        minimum=1.0,
        errors=(SourceError,),
    )


def vocabulary(seeds: Path) -> Target:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##s", "café", "猫"]

    def make(chance: random.Random) -> dict[str, bytes]:
        lines = damaged_list(pieces, chance, damaged_text)
        data = chance.choice(["\n", "\n", "\r\n", "\r"]).join(lines).encode("utf-8", "replace")
        if chance.random() < 0.3:
            data = damaged_bytes(data, chance)
        return {"vocab.txt": data}

    return Target(
        "vocabulary",
        make,
        lambda: [{"vocab.txt": "\n".join(pieces).encode()}],
        read_vocabulary,
        minimum=1.0,
        errors=(ValueError,),
    )
