"""What the tests of BERT's relatives share: one table of families, and texts that both can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers import (
    AlbertEncoder,
    DistilBertEncoder,
    ElectraEncoder,
    RobertaEncoder,
)
from tests.layers.toys import make_encoder

GOLDENS = Path(__file__).parents[1] / "goldens"
TEXTS = ["a b c", "d e", "", "a b c d e f g h a b c d e f g h"]


@dataclass(frozen=True)
class Relative:
    """A family.

    Args:
        layer: its class.
        checkpoint: of its golden data, with a vocabulary.
        pad_id: which stands for padding.
        has_segments: whether it takes segment ids.
        has_pooler: whether its checkpoint holds the original pooler.
        blocks: how many stages the checkpoint's layers are.
        changes: to the architecture of `make`.
    """

    layer: Any
    checkpoint: Path
    pad_id: int
    has_segments: bool = False
    has_pooler: bool = False
    blocks: int = 3
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def make(self) -> Any:
        """Makes the layer with random weights."""
        return partial(make_encoder, self.layer, self.changes)

    @property
    def last_block(self) -> str:
        """The last stage before the heads."""
        return f"layer_{self.blocks - 1}"

    def load(self, **options: Any) -> Any:
        return self.layer(self.checkpoint, **{"jit_compile": False, **options})

    def inputs(self, length: int = 5) -> dict[str, np.ndarray]:
        """Three rows: none padded, the right padded, the left padded."""
        ids = np.random.default_rng(0).integers(4, 20, (3, length)).astype("int32")
        ids[1, -2:] = ids[2, :2] = self.pad_id
        inputs = {"token_ids": ids, "padding_mask": (ids != self.pad_id).astype("int32")}
        return inputs | ({"segment_ids": np.zeros_like(ids)} if self.has_segments else {})


RELATIVES = {
    "roberta": Relative(RobertaEncoder, GOLDENS / "roberta" / "hf", 1),
    "distilbert": Relative(DistilBertEncoder, GOLDENS / "distilbert" / "masked_lm", 0),
    "albert": Relative(
        AlbertEncoder,
        GOLDENS / "albert_hf" / "pretraining",
        0,
        has_segments=True,
        has_pooler=True,
        blocks=1,
        changes={"embedding_size": 6},
    ),
    "electra": Relative(
        ElectraEncoder,
        GOLDENS / "electra_hf" / "discriminator",
        0,
        has_segments=True,
        changes={"embedding_size": 6},
    ),
}


def model_of(encoder: Any) -> keras.Model:
    """The encoder on ids as a model."""
    return keras.Model(symbolic := encoder.symbolic_inputs(), encoder(symbolic))
