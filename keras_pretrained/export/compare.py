"""Whether two sets of named arrays agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_pretrained.export.report import ExportError

Arrays = Mapping[str, np.ndarray]


def largest_difference(
    expected: Arrays, actual: Arrays, tolerance: float, artefact: str, sample: str
) -> float:
    """The largest absolute difference over all outputs.

    Args:
        expected: the model's predictions by output name.
        actual: the artefact's.
        tolerance: allowed per number: `tolerance + tolerance * |expected|`. Integers and
            booleans must be equal.
        artefact, sample: what is compared and on which input, for messages.

    Raises:
        ExportError: an output is missing, has another shape, or differs too much.
    """
    if set(expected) != set(actual):
        raise ExportError(
            f"{artefact} has the outputs {', '.join(sorted(actual))}. "
            f"Expected: {', '.join(sorted(expected))}"
        )
    largest = 0.0
    for name, values in expected.items():
        largest = max(largest, _compare(name, values, actual[name], tolerance, artefact, sample))
    return largest


def _compare(
    name: str,
    expected: np.ndarray,
    actual: np.ndarray,
    tolerance: float,
    artefact: str,
    sample: str,
) -> float:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise ExportError(
            f"Output {name!r} of {artefact} is {actual.dtype} of shape {actual.shape} on {sample}. "
            f"Expected, as the model gives: {expected.dtype} of shape {expected.shape}"
        )
    exact = expected.dtype.kind in "biu"
    wanted, given = expected.astype("float64"), actual.astype("float64")
    if np.isnan(wanted).any():
        raise ExportError(
            f"Output {name!r} of the model itself is not a number on {sample}, which proves "
            "nothing about an artefact. Pass real inputs as `inputs=`."
        )
    with np.errstate(invalid="ignore"):
        # Equal infinities (masked scores) have no difference; unequal ones an infinite one.
        difference = np.where(wanted == given, 0.0, np.abs(wanted - given))
        difference = np.nan_to_num(difference, nan=np.inf, posinf=np.inf)
        allowed = tolerance + tolerance * np.abs(wanted)
    allowed = np.where(np.isfinite(wanted) & (not exact), allowed, 0.0)
    if not (difference <= allowed).all():
        place = np.unravel_index(np.argmax(difference - allowed), difference.shape)
        raise ExportError(
            f"Output {name!r} of {artefact} differs from the model's on {sample}: largest "
            f"difference {difference.max():.3g}; worst at index {tuple(map(int, place))}: model "
            f"{wanted[place]:.7g}, artefact {given[place]:.7g}, allowed {tolerance:g} + "
            f"{tolerance:g} * |model|. The artefact was not kept. If such a difference is "
            "acceptable, pass `tolerance=`."
        )
    return float(difference.max(initial=0.0))
