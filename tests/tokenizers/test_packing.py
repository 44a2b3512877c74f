"""Special tokens, truncation, padding: also in the layouts of other tokenizers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.tokenizers.packing import (
    Pieces,
    Template,
    buckets,
    check_lengths,
    longest_first,
    pack,
)

BERT = Template(start=(101,), between=(102,), end=(102,), pad=0)
ROBERTA = Template(start=(0,), between=(2, 2), end=(2,), pad=1)
BARE = Template(start=(), between=(), end=(), pad=9)


def pieces(rows: list[list[int]]) -> Pieces:
    ids = tf.ragged.constant(rows, tf.int32, row_splits_dtype=tf.int64)
    return Pieces(tf.RaggedTensor.from_row_splits(ids.flat_values, ids.row_splits))


def reference(rows: list[list[int]], template: Template, limit: int, length: int) -> list:
    packed = []
    for row in rows:
        kept = row[: limit - template.special_count(is_pair=False)]
        tokens = [*template.start, *kept, *template.end]
        packed.append(tokens + [template.pad] * (length - len(tokens)))
    return packed


@pytest.mark.parametrize("template", [BERT, ROBERTA, BARE])
@pytest.mark.parametrize("limit", [4, 7, 20])
def test_single_texts(template: Template, limit: int) -> None:
    rows = [[5, 6, 7], [], list(range(20, 35)), [8]]
    packed = pack(pieces(rows), None, template, limit, limit)
    assert packed["token_ids"].numpy().tolist() == reference(rows, template, limit, limit)
    count = template.special_count(is_pair=False)
    lengths = [min(len(row) + count, limit) for row in rows]
    assert packed["padding_mask"].numpy().sum(axis=1).tolist() == lengths


def test_pairs_of_another_family() -> None:
    packed = pack(pieces([[5, 6], [7]]), pieces([[8], [9, 9, 9, 9, 9]]), ROBERTA, 8, None)
    assert packed["token_ids"].numpy().tolist() == [
        [0, 5, 6, 2, 2, 8, 2, 1],
        [0, 7, 2, 2, 9, 9, 9, 2],
    ]
    bare = pack(pieces([[5, 6], []]), pieces([[8], []]), BARE, 8, None)
    assert bare["token_ids"].numpy().tolist() == [[5, 6, 8], [9, 9, 9]]
    assert bare["segment_ids"].numpy().tolist() == [[0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("room", range(2, 13))
def test_longest_first_cuts_one_piece_at_a_time_from_the_longer_side(room: int) -> None:
    first, second = map(np.ravel, np.meshgrid(np.arange(10), np.arange(10)))
    kept_first, kept_second = longest_first(
        tf.constant(first, tf.int32), tf.constant(second, tf.int32), room
    )
    for a, b, kept_a, kept_b in zip(
        first, second, kept_first.numpy(), kept_second.numpy(), strict=True
    ):
        long, short = max(a, b), min(a, b)
        while long + short > room:
            if long > short:
                long -= 1
            else:
                short -= 1
        assert {kept_a, kept_b} == {long, short}
        assert kept_a + kept_b == min(a + b, room)
        # The odd place: to the side that was longer, to the second one when they were equal.
        if kept_a != kept_b:
            assert (kept_a > kept_b) == (a > b)


def test_bucket_lengths() -> None:
    assert buckets(512) == [32, 64, 128, 256, 512]
    assert buckets(100) == [32, 64, 100]
    assert buckets(32) == [32]
    assert buckets(10) == [10]
    assert buckets(33) == [32, 33]


def test_limits() -> None:
    assert check_lengths(512, None, BERT, is_pair=False) == 512
    assert check_lengths(512, 16, BERT, is_pair=True) == 16
    assert check_lengths(16, 512, BERT, is_pair=True) == 16
    with pytest.raises(ValueError, match="at least 6: a pair of texts has 4 special tokens"):
        check_lengths(5, None, ROBERTA, is_pair=True)
    with pytest.raises(TypeError, match="Received: True"):
        check_lengths(5, True, ROBERTA, is_pair=True)
