"""ELMo's first stage: the characters of each word -> one vector, whatever its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block, Dense
from keras_pretrained.layers.blocks.character_convolution import CharacterConvolution
from keras_pretrained.layers.blocks.distinct import distinct_rows, has_free_shapes, in_parts
from keras_pretrained.layers.blocks.highway import Highway
from keras_pretrained.layers.blocks.row_cache import RowCache

PART = 512
"""Words that are read at a time: the widest convolution takes 90 MB for them."""


class WordEncoder(Block):
    """Character convolutions, highways, and a projection where the widths differ.

    On TensorFlow, outside of XLA, each distinct word of a batch is read once, long ones last and
    at most `PART` at a time, and the padding behind the longest word of a part is left out: its
    convolutions all have one value. The numbers are the same. Elsewhere shapes may not depend on
    words, and every word is read as it stands.

    Args:
        num_characters, size, filters, activation: see `CharacterConvolution`.
        num_highways: highways behind the convolutions.
        output_size: width of a word's vector.
        distinct: whether distinct words are sought.

    Attributes:
        cache: vectors of words that were read beforehand, or None.
    """

    def __init__(
        self,
        num_characters: int,
        size: int,
        filters: Sequence[Sequence[int]],
        num_highways: int,
        output_size: int,
        activation: str = "relu",
        distinct: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.output_size = output_size
        self.distinct = distinct
        self.characters = CharacterConvolution(
            num_characters, size, filters, activation, dtype=policy, name="characters"
        )
        self.highways = [
            Highway(activation, dtype=policy, name=f"highway_{index}")
            for index in range(num_highways)
        ]
        self.projection: Dense | None = None
        if self.characters.output_size != output_size:
            self.projection = Dense(output_size, dtype=policy, name="projection")
        self.cache: RowCache | None = None

    def build(self, input_shape: Any = None) -> None:
        self.characters.build()
        width = (None, self.characters.output_size)
        for highway in self.highways:
            highway.build(width)
        if self.projection is not None:
            self.projection.build(width)

    def call(self, ids: Any) -> Any:
        """(words, characters) int32 -> (words, output size)."""
        if not (self.distinct and has_free_shapes()):
            return self.read(ids)
        rows, places = distinct_rows(ids)
        vectors = (self.cache or self._read_in_parts)(rows)
        return keras.ops.take(vectors, places, axis=0)

    def read(self, ids: Any) -> Any:
        """`call` for every word as it stands."""
        x = self.characters(ids)
        for highway in self.highways:
            x = highway(x)
        return x if self.projection is None else self.projection(x)

    def _read_in_parts(self, rows: Any) -> Any:
        """Distinct words, short ones first: padding in common need not be read."""
        import tensorflow as tf

        widest, characters = self.characters.longest, rows.shape[1]
        # Where the last sign, as a rule that of padding, begins to repeat.
        differs = tf.cast(rows != rows[:, -1:], tf.int32)
        used = tf.reduce_max(differs * tf.range(1, characters + 1), axis=1)
        order = tf.argsort(used)

        def work(part: Any) -> Any:
            # One window of padding alone stands for all of them.
            length = tf.minimum(tf.reduce_max(part[:, 0]) + widest, characters)
            return self.read(part[:, 1:][:, :length])

        ordered = tf.gather(tf.concat([used[:, None], rows], 1), order)
        ordered.set_shape([None, characters + 1])
        vectors = in_parts(work, ordered, PART)
        return tf.gather(vectors, tf.math.invert_permutation(order))

    def remember(self, rows: Any) -> None:
        """Reads distinct words once for all; see `RowCache`."""
        self.cache = RowCache(rows, self._read_in_parts)

    def get_config(self) -> dict[str, Any]:
        inner = self.characters.get_config()
        return {
            **super().get_config(),
            **{name: inner[name] for name in ("num_characters", "size", "filters", "activation")},
            "num_highways": len(self.highways),
            "output_size": self.output_size,
            "distinct": self.distinct,
        }
