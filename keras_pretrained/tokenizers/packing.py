"""Pieces to model inputs: special tokens, truncation, padding (for every tokenizer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from keras_pretrained.tokenizers.lazy import tensorflow

PadTo = int | Literal["longest", "buckets"] | None
PadSide = Literal["right", "left"]
SMALLEST_BUCKET = 32


@dataclass(frozen=True)
class Template:
    """Where special tokens stand: `start a end`, or `start a between b end` for a pair.

    Attributes:
        start, between, end: ids of special tokens.
        pad: the id that fills a row up.
        has_segments: the family's networks tell the two texts of a pair apart by segment ids.
    """

    start: tuple[int, ...]
    between: tuple[int, ...]
    end: tuple[int, ...]
    pad: int
    has_segments: bool = True

    def special_count(self, is_pair: bool) -> int:
        """How many special tokens a row has."""
        return len(self.start) + len(self.end) + (len(self.between) if is_pair else 0)


@dataclass(frozen=True)
class Pieces:
    """The pieces of one side of a batch.

    Attributes:
        ids: RaggedTensor of int32, `(batch, None)`.
        words: int32 tensor, the word of each of `ids.flat_values`; None if texts were not split.
    """

    ids: Any
    words: Any = None

    def tensors(self) -> list[Any]:
        """The ids, and the words where texts were split."""
        return [self.ids] if self.words is None else [self.ids, self.words]


def check_lengths(max_length: Any, pad_to: Any, template: Template, is_pair: bool) -> int:
    """The number of tokens that a row may have.

    Raises:
        TypeError, ValueError: not a length, or too small for one piece of each text.
    """
    if isinstance(max_length, bool) or not isinstance(max_length, int):
        raise TypeError(f"max_length must be an int. Received: {max_length!r}.")
    if pad_to not in (None, "longest", "buckets") and (
        isinstance(pad_to, bool) or not isinstance(pad_to, int)
    ):
        raise TypeError(
            f"pad_to must be None, 'longest', 'buckets' or an int. Received: {pad_to!r}."
        )
    limit = min(max_length, pad_to) if isinstance(pad_to, int) else max_length
    smallest = template.special_count(is_pair) + (2 if is_pair else 1)
    if limit < smallest:
        name = "max_length" if limit == max_length else "pad_to"
        what = "a pair of texts" if is_pair else "a text"
        raise ValueError(
            f"{name} must be at least {smallest}: {what} has "
            f"{template.special_count(is_pair)} special tokens. Received: {limit}."
        )
    return limit


def check_side(pad_side: Any) -> None:
    """Raises ValueError when it is neither `"right"` nor `"left"`."""
    if pad_side not in ("right", "left"):
        raise ValueError(f"pad_side must be 'right' or 'left'. Received: {pad_side!r}.")


def buckets(limit: int) -> list[int]:
    """The lengths that `pad_to="buckets"` may give: 32, 64, 128, ... and the limit itself."""
    lengths = []
    length = SMALLEST_BUCKET
    while length < limit:
        lengths.append(length)
        length *= 2
    return [*lengths, limit]


def longest_first(first: Any, second: Any, room: int) -> tuple[Any, Any]:
    """How many pieces each side of a pair keeps when the longer side is cut first.

    As Hugging Face tokenizers do it: when both must be cut and the room is odd, the side that was
    longer gets the odd place, and the second side when they were equal.

    Args:
        first, second: int32 tensors, pieces a side.
        room: places for pieces of both.
    """
    tf = tensorflow()
    shorter, longer = tf.minimum(first, second), tf.maximum(first, second)
    kept_shorter = tf.minimum(shorter, room // 2)
    kept_longer = tf.minimum(longer, room - kept_shorter)
    swapped = first > second
    return (
        tf.where(swapped, kept_longer, kept_shorter),
        tf.where(swapped, kept_shorter, kept_longer),
    )


def pack(
    first: Pieces,
    second: Pieces | None,
    template: Template,
    limit: int,
    pad_to: PadTo,
    pad_side: PadSide = "right",
) -> dict[str, Any]:
    """Rows of ids with special tokens, cut to the limit and padded.

    Returns:
        int32 tensors `(batch, length)`: `token_ids`, `segment_ids` (1 on the second text and
        behind it) if the template has them, `padding_mask` (1 on tokens), and `word_ids` (-1 on
        special tokens and padding) if the texts were split into words.
    """
    tf = tensorflow()
    special_count = template.special_count(second is not None)
    counts = tf.cast(first.ids.row_lengths(), tf.int32)
    if second is None:
        rows = _Rows([first], template.start + template.end)
        kept = tf.minimum(counts, limit - special_count)
        rows.add_special(template.start)
        rows.add_side(0, kept)
        rows.add_special(template.end)
        total = kept
    else:
        rows = _Rows([first, second], template.start + template.between + template.end)
        second_counts = tf.cast(second.ids.row_lengths(), tf.int32)
        kept, second_kept = longest_first(counts, second_counts, limit - special_count)
        rows.add_special(template.start)
        rows.add_side(0, kept)
        rows.add_special(template.between)
        rows.add_side(1, second_kept)
        rows.add_special(template.end)
        total = kept + second_kept
    total += special_count
    length = _padded_length(total, special_count, limit, pad_to)
    index = rows.index(total)

    def spread(values: Any, fill: int) -> Any:
        shape = (None, length) if isinstance(length, int) else tf.stack([-1, length])
        return index.with_values(tf.gather(values, index.values)).to_tensor(fill, shape=shape)

    packed = {"token_ids": spread(rows.ids, template.pad)}
    if template.has_segments and second is None:
        packed["segment_ids"] = tf.zeros_like(packed["token_ids"])
    elif template.has_segments:
        packed["segment_ids"] = spread(rows.segments(len(template.end)), 0)
    # From the lengths: the padding id may be an id that texts have too.
    packed["padding_mask"] = tf.cast(tf.range(length)[None, :] < total[:, None], tf.int32)
    if first.words is not None:
        packed["word_ids"] = spread(rows.words, -1)
    if pad_side == "left":
        columns = tf.range(length)[None, :] - (length - total)[:, None]
        # Of a row that is turned around, the padding at its end comes to stand before it.
        columns = tf.where(columns < 0, columns + length, columns)
        packed = {name: tf.gather(value, columns, batch_dims=1) for name, value in packed.items()}
    for value in packed.values():
        # A ragged tensor forgets how many rows a batch always has (`drop_remainder`).
        value.set_shape([total.shape[0], None])
    return packed


class _Rows:
    """Every row as slices of one vector: the pieces of each side, then the special tokens."""

    def __init__(self, sides: list[Pieces], special: tuple[int, ...]) -> None:
        tf = self._tf = tensorflow()
        self._sides = sides
        values = [side.ids.flat_values for side in sides]
        self._sizes = [tf.size(value) for value in values]
        self._special_count = len(special)
        self._next_special = tf.add_n(self._sizes)
        self._row = tf.zeros_like(sides[0].ids.row_starts(), tf.int32)
        self._starts: list[Any] = []
        self._limits: list[Any] = []
        self.ids = tf.concat([*values, tf.constant(special, tf.int32, (len(special),))], 0)

    @property
    def words(self) -> Any:
        special = self._tf.fill([self._special_count], -1)
        return self._tf.concat([*(side.words for side in self._sides), special], 0)

    def segments(self, end_count: int) -> Any:
        tf = self._tf
        first = tf.zeros([self._sizes[0]], tf.int32)
        special = [0] * (self._special_count - end_count) + [1] * end_count
        return tf.concat([first, tf.ones([self._sizes[1]], tf.int32), special], 0)

    def add_special(self, ids: tuple[int, ...]) -> None:
        self._add(self._row + self._next_special, len(ids))
        self._next_special += len(ids)

    def add_side(self, number: int, kept: Any) -> None:
        starts = self._tf.cast(self._sides[number].ids.row_starts(), self._tf.int32)
        self._add(starts + (self._sizes[0] if number else 0), kept)

    def _add(self, starts: Any, count: Any) -> None:
        self._starts.append(starts)
        self._limits.append(starts + count)

    def index(self, total: Any) -> Any:
        """RaggedTensor `(batch, None)` of places in `ids`."""
        tf = self._tf
        starts = tf.reshape(tf.stack(self._starts, axis=1), [-1])
        limits = tf.reshape(tf.stack(self._limits, axis=1), [-1])
        places = tf.ragged.range(starts, limits).flat_values
        return tf.RaggedTensor.from_row_lengths(places, total, validate=False)


def _padded_length(total: Any, special_count: int, limit: int, pad_to: PadTo) -> Any:
    tf = tensorflow()
    if isinstance(pad_to, int):
        return pad_to
    longest = tf.maximum(tf.reduce_max(total), special_count)
    if pad_to != "buckets":
        return longest
    lengths = tf.constant(buckets(limit), tf.int32)
    return lengths[tf.searchsorted(lengths, longest[None])[0]]
