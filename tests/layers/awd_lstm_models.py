"""The golden AWD-LSTMs, and what fast.ai computed with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers import AWDLSTMEncoder
from keras_pretrained.tokenizers import FastaiTokenizer

GOLDEN = Path(__file__).parents[1] / "goldens" / "awd_lstm"
SOURCES = {
    "fastai-0.7-fwd": GOLDEN / "fastai-0.7" / "fwd_wt103.h5",
    "fastai-0.7-bwd": GOLDEN / "fastai-0.7" / "bwd_wt103.h5",
    "fastai-1": GOLDEN / "fastai-1" / "lstm_fwd.pth",
    "fastai-2": GOLDEN / "fastai-2" / "lstm_fwd.pth",
}
WIDTH, UNITS, WORDS = 5, 7, 40
SMALL = {"vocabulary_size": WORDS, "embedding_size": WIDTH, "units": UNITS}


def golden() -> Mapping[str, np.ndarray]:
    return np.load(GOLDEN / "expected.npz")


def awd_lstm(network: str = "fastai-2", **options: Any) -> AWDLSTMEncoder:
    """A golden network."""
    return AWDLSTMEncoder(SOURCES[network], **options)


def inputs() -> dict[str, np.ndarray]:
    """Three texts: without padding, with padding behind, and with padding before."""
    ids = np.random.default_rng(4).integers(2, WORDS, (3, 6)).astype("int32")
    ids[1, 3:] = ids[2, :2] = 1
    return {"token_ids": ids, "padding_mask": (ids != 1).astype("int32")}


def small(backward: bool = False, **options: Any) -> AWDLSTMEncoder:
    """One LSTM of random weights: loops take long to trace."""
    keras.utils.set_random_seed(4)
    sizes = {**SMALL, "num_layers": 1, "backward": backward}
    made = AWDLSTMEncoder(architecture=sizes, **options)
    made.set_weights([5 * w for w in made.get_weights()])
    return made


def with_words(**options: Any) -> FastaiTokenizer:
    return FastaiTokenizer.from_file(
        GOLDEN / "fastai-2" / "itos_wt103.pkl", splitter="whitespace", **options
    )
