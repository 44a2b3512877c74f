"""Small ELMos for tests: files in every dialect, and layers made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained import open_checkpoint
from keras_pretrained.checkpoints.hdf5_writer import write_hdf5
from keras_pretrained.checkpoints.tf_bundle_writer import write_tf_bundle
from keras_pretrained.layers import ElmoEmbedding
from tests.layers.elmo_reference import Reference, hub_names, random_tensors, training_names

GOLDEN = Path(__file__).parents[1] / "goldens" / "elmo"
FIXTURE = Path(__file__).parents[3] / "shared" / "fixtures" / "elmo"
WIDTH = 12
BATCH = [["I", "ate", "an", "apple", "."], ["Yes"], ["the", "naïve", "fox"], ["a", "a", "apple"]]
SMALL = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 6,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 8,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [3, 5], [7, 6]],
        "n_highway": 2,
        "embedding": {"dim": 3},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
FULL = {
    "lstm": {**SMALL["lstm"], "projection_dim": 512, "dim": 4096},
    "char_cnn": {
        **SMALL["char_cnn"],
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "embedding": {"dim": 16},
    },
}


def golden() -> Mapping[str, np.ndarray]:
    return np.load(GOLDEN / "expected.npz")


def elmo(**options: Any) -> ElmoEmbedding:
    """The golden network."""
    return ElmoEmbedding(GOLDEN, **options)


def stored(path: Path) -> dict[str, np.ndarray]:
    return {name: np.array(array.read()) for name, array in open_checkpoint(path).items()}


def write(folder: Path, dialect: str, options: Mapping[str, Any], tensors: Any) -> Path:
    """The files of a network, by bilm's names, in another dialect; returns what is loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    if dialect == "tf-hub":
        (folder / "variables").mkdir()
        (folder / "saved_model.pb").write_bytes(b"")
        write_tf_bundle(folder / "variables" / "variables", hub_names(tensors))
        return folder
    characters = 261 if dialect == "bilm-training" else 262
    cnn = {**options["char_cnn"], "n_characters": characters}
    (folder / "options.json").write_text(json.dumps({**options, "char_cnn": cnn}))
    if dialect == "bilm":
        write_hdf5(folder / "weights.hdf5", tensors)
        return folder
    write_tf_bundle(folder / "model.ckpt-9", training_names(tensors))
    return folder


def random_reference(options: Mapping[str, Any], **kwargs: Any) -> Reference:
    return Reference(random_tensors(options), options, **kwargs)
