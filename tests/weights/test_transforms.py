"""Every transform, against plain NumPy, and back again bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from keras_pretrained.weights.transforms import (
    IDENTITY,
    TRANSPOSE,
    Chain,
    FoldedRow,
    Fuse,
    ReorderGates,
    Reshape,
    Slice,
    Split,
    Squeeze,
    Tie,
    Transpose,
)

DIMS = {"heads": 2, "size": 3, "hidden": 6}


def values(*shape: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + int(np.prod(shape)), dtype="float32").reshape(shape)


SQUARE, CUBE = values(6, 6), values(6, 2, 3)
ONE_TO_ONE = [
    (IDENTITY, SQUARE, SQUARE),
    (TRANSPOSE, SQUARE, SQUARE.T),
    (Transpose((2, 0, 1)), CUBE, np.moveaxis(CUBE, 2, 0)),
    (Reshape(("hidden", "heads", "size"), ("hidden", -1)), CUBE, CUBE.reshape(6, 6)),
    (Squeeze((0, 2)), values(1, 4, 1), values(4)),
    (Slice(0, before=1), values(5, 2), values(5, 2)[1:]),
    (ReorderGates("ijfo", "ifjo", axis=0), values(8), values(8)[[0, 1, 4, 5, 2, 3, 6, 7]]),
    (Chain(TRANSPOSE, Squeeze((0,))), values(6, 1), values(6)),
]


@pytest.mark.parametrize(("transform", "stored", "wanted"), ONE_TO_ONE, ids=lambda x: repr(x)[:30])
def test_forward_and_backward(transform, stored, wanted) -> None:
    if isinstance(transform, Slice):
        stored = stored.copy()
        stored[0] = 0
    (made,) = transform.forward([stored], DIMS)
    np.testing.assert_array_equal(made, wanted)
    (back,) = transform.backward([made], DIMS)
    np.testing.assert_array_equal(back, stored)


def test_fuse_and_split_are_each_other_backward() -> None:
    parts = [values(2, 3, start=10 * i) for i in range(3)]
    (fused,) = Fuse(axis=1, parts=3).forward(parts, {})
    np.testing.assert_array_equal(fused, np.concatenate(parts, axis=1))
    for ours in (Fuse(1, 3).backward([fused], {}), Split(1, 3).forward([fused], {})):
        for part, expected in zip(ours, parts, strict=True):
            np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_equal(Split(1, 3).backward(parts, {})[0], fused)


def test_tie_takes_equal_copies_only() -> None:
    (tied,) = Tie(2).forward([SQUARE, SQUARE.copy()], {})
    assert tied is SQUARE
    assert len(Tie(2).backward([tied], {})) == 2
    with pytest.raises(ValueError, match="different values"):
        Tie(2).forward([SQUARE, SQUARE + 1], {})


def test_a_row_that_is_added_to_all_is_zeros_on_file() -> None:
    table = -np.zeros((4, 3), "float32")
    same, row = FoldedRow().forward([table], {})
    assert same is table
    assert (row.shape, row.dtype, row.any()) == ((1, 3), table.dtype, False)
    (back,) = FoldedRow().backward([table, row], {})
    assert back.tobytes() == table.tobytes()
    (back,) = FoldedRow().backward([table, values(1, 3)], {})
    np.testing.assert_array_equal(back, np.tile(values(3), (4, 1)))
    with pytest.raises(ValueError, match="Only one row"):
        FoldedRow().backward([table, table], {})


def test_gate_orders_must_name_the_same_gates() -> None:
    with pytest.raises(ValueError, match="same gates"):
        ReorderGates("ifco", "ifjo")
