"""The comparison finds every kind of difference."""

from __future__ import annotations

import numpy as np
import pytest

from keras_pretrained.export.compare import largest_difference
from keras_pretrained.export.report import ExportError


def compare(expected: np.ndarray, actual: np.ndarray, tolerance: float = 1e-4) -> float:
    return largest_difference({"y": expected}, {"y": actual}, tolerance, "ONNX file m", "an input")


def test_small_differences_pass_and_are_measured() -> None:
    expected = np.array([[1.0, -100.0]], "float32")
    actual = np.array([[1.0, -100.005]], "float32")
    assert compare(expected, actual) == pytest.approx(0.005, rel=1e-3)
    assert compare(expected, expected) == 0.0


def test_a_large_difference_names_output_place_and_size() -> None:
    expected = np.zeros((2, 3), "float32")
    actual = expected.copy()
    actual[1, 2] = 0.5
    with pytest.raises(ExportError, match=r"'y' of ONNX file m.*0\.5.*\(1, 2\)"):
        compare(expected, actual)


def test_infinities_must_be_equal() -> None:
    minus = np.array([-np.inf, 1.0], "float32")
    assert compare(minus, minus.copy()) == 0.0
    for other in (np.inf, 0.0, np.nan):
        with pytest.raises(ExportError, match="inf"):
            compare(minus, np.array([other, 1.0], "float32"))
        with pytest.raises(ExportError):
            compare(np.array([0.0, 1.0], "float32"), np.array([-np.inf, 1.0], "float32"))


def test_not_a_number_is_never_equal() -> None:
    ones, holed = np.ones(2, "float32"), np.array([1.0, np.nan], "float32")
    with pytest.raises(ExportError, match="differs"):
        compare(ones, holed)
    with pytest.raises(ExportError, match=r"itself is not a number.*`inputs=`"):
        compare(holed, holed)


def test_integers_must_be_equal_whatever_the_tolerance() -> None:
    assert compare(np.array([3]), np.array([3]), tolerance=9.0) == 0.0
    with pytest.raises(ExportError, match="differs"):
        compare(np.array([3]), np.array([4]), tolerance=9.0)


def test_shape_dtype_and_names_must_agree() -> None:
    ones = np.ones((2, 1), "float32")
    with pytest.raises(ExportError, match=r"\(2,\)"):
        compare(ones, ones[:, 0])
    with pytest.raises(ExportError, match="float64"):
        compare(ones, ones.astype("float64"))
    with pytest.raises(ExportError, match="Expected: y"):
        largest_difference({"y": ones}, {"z": ones}, 1e-4, "a", "b")


def test_tolerance_zero_takes_equal_bits_only() -> None:
    ones = np.ones(3, "float32")
    assert compare(ones, ones.copy(), tolerance=0.0) == 0.0
    with pytest.raises(ExportError):
        compare(ones, np.nextafter(ones, np.float32(2)), tolerance=0.0)
