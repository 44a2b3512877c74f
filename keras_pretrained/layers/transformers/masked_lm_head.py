"""The head of masked language models: from hidden states to the words that stand there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.layers.blocks.block import Block, Dense
from keras_pretrained.layers.blocks.normalization import LayerNormalization
from keras_pretrained.layers.blocks.transformer import ACTIVATIONS
from keras_pretrained.layers.transformers.transformer_encoder import TransformerEncoder
from keras_pretrained.weights import (
    LoadReport,
    WeightMap,
    WeightReader,
    WeightsError,
    filling,
)

TABLE = "embeddings/word_embeddings"
"""The encoder's variable that the head reads; files may hold a copy of it among the head's."""


class MaskedLMHead(Block):
    """Hidden states -> logits of all tokens: `norm(act(W h + b)) table^T + bias`.

    The table is the encoder's own, which belongs to its stem and trains if that does. What is
    here always trains.

    Args:
        encoder: whose output the head takes. Its activation, normalisation and sizes are those of
            the original heads of all families.
    """

    def __init__(self, encoder: TransformerEncoder, **kwargs: Any) -> None:
        super().__init__(dtype=encoder.dtype_policy, **kwargs)
        made = encoder.architecture
        self.hidden_size = encoder.hidden_size
        # A function, because Keras would count a variable or a layer among this layer's own.
        self._table: Callable[[], Any] = lambda: encoder.embeddings.word_embeddings
        self.rows, width = self._table().shape
        self.activation = ACTIVATIONS[made.activation]
        self.dense = Dense(
            width,
            kernel_initializer=encoder.new_initializer(),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.norm = LayerNormalization(
            made.layer_norm_epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, None, self.hidden_size))
        self.norm.build((None, None, self.dense.units))
        self.bias = self.add_weight(shape=(self.rows,), initializer="zeros", name="bias")

    def call(self, hidden: Any) -> Any:
        """(batch, length, hidden size) -> (batch, length, rows of the table)."""
        ops = keras.ops
        hidden = self.norm(self.activation(self.dense(hidden)))
        table = ops.cast(self._table(), hidden.dtype)
        return ops.matmul(hidden, ops.transpose(table)) + ops.cast(self.bias, hidden.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.rows)


def masked_lm_head(
    encoder: TransformerEncoder, name: str = "masked_lm_head"
) -> tuple[MaskedLMHead, LoadReport | None]:
    """The head of an encoder: that of its checkpoint where it holds one, otherwise a new one.

    Returns:
        The head, and what loading did with every tensor of encoder and head: None for an encoder
        that was made from no checkpoint.

    Raises:
        WeightsError: the checkpoint holds a part of a head, or one with a table of its own.
        FileNotFoundError: the checkpoint that the encoder was made from is gone.
    """
    head, report = MaskedLMHead(encoder, name=name), encoder.load_report
    found = None if report is None else _stored_head(encoder.masked_lm_maps, report)
    if report is None or found is None:
        head.build()
        new = tuple(f"{name}/{path}" for path in ("dense", "norm", "bias"))
        return head, report and dataclasses.replace(report, new=new)
    reader = WeightReader(found.own, found.weight_map, {})
    with filling(reader, name):
        head.build()
    loaded = {f"{name}/{path}": names for path, names in reader.finish().loaded.items()}
    ignored = {key: why for key, why in report.ignored.items() if key not in found.own}
    return head, dataclasses.replace(
        report, loaded={**report.loaded, **loaded}, ignored={**ignored, **found.copies}
    )


@dataclasses.dataclass(frozen=True)
class _Stored:
    """The head in a checkpoint.

    Attributes:
        own: its tensors alone.
        copies: name of another tensor -> of what it is a copy.
    """

    own: Checkpoint
    weight_map: WeightMap
    copies: Mapping[str, str]


def _stored_head(maps: Sequence[WeightMap], report: LoadReport) -> _Stored | None:
    """The head in the checkpoint that an encoder was made from."""
    weight_map = next((each for each in maps if each.dialect == report.dialect), None)
    known = weight_map.known(report.ignored, {}) if weight_map else set()
    if weight_map is None or not known:
        return None
    checkpoint = open_checkpoint(report.path)
    copies = {}
    for target, original in ((TABLE, report.loaded[TABLE]), ("bias", ())):
        held = [rule.sources[0] for rule in weight_map.candidates(target, {})]
        first, *others = [*original, *(name for name in held if name in known)] or [""]
        for copy in others:
            if not checkpoint[copy].equals(checkpoint[first]):
                raise WeightsError(
                    f"In the checkpoint {str(report.path)!r} the head's {copy} is not equal to "
                    f"{first}. Expected equal values: this layer computes nothing else."
                )
            copies[copy] = f"a copy of {first}"
    arrays = {name: checkpoint[name] for name in sorted(known - set(copies))}
    return _Stored(Checkpoint(report.path, checkpoint.format, arrays), weight_map, copies)
