"""The model's own predictions, and whether an artefact repeats them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.export.axes import Axes, input_axes, output_axes
from keras_pretrained.export.compare import largest_difference
from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.export.report import ExportError, ExportReport, TensorInfo, total_size
from keras_pretrained.export.samples import Sample, given_samples, resized, synthetic_samples
from keras_pretrained.export.texts import Wiring

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
Adapt = Callable[[Mapping[str, Any]], dict[str, Any]]

_TOLERANCES = {"float16": 1e-2, "bfloat16": 5e-2}
_DEFAULT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Check:
    """Inputs with the model's predictions on them.

    Attributes:
        interface: the model.
        samples: the inputs, of several sizes where the model's axes are free.
        predictions: what the model makes of each.
        tied: whether the model refuses inputs whose lengths have different names.
        tolerance: allowed difference, absolute plus relative.
        started: when the export began.
        adapt: makes the artefact's inputs of the model's.
    """

    interface: Interface
    samples: list[Sample]
    predictions: list[dict[str, np.ndarray]]
    tied: bool
    tolerance: float
    started: float
    adapt: Adapt = dict

    @classmethod
    def prepare(
        cls, interface: Interface, inputs: Any, tolerance: float | None, adapt: Adapt = dict
    ) -> Check:
        """Runs the model on a given batch, or on made-up ones when `inputs` is None."""
        started = time.perf_counter()
        allowed = _tolerance(interface, tolerance)
        if inputs is not None:
            samples = given_samples(interface, inputs)
            predictions = _predict(interface, samples)
            tied = _is_tied(interface, samples[0])
        else:
            samples, predictions, tied = _predict_synthetic(interface)
        return cls(interface, samples, predictions, tied, allowed, started, adapt)

    def run(self, artefact: str, run: Run) -> float:
        """The largest difference between the model and `run`, or an `ExportError`."""
        largest = 0.0
        for sample, expected in zip(self.samples, self.predictions, strict=True):
            try:
                actual = run(self.adapt(sample.values))
            except Exception as error:
                raise ExportError(f"{artefact} does not run on {sample}: {error}") from error
            difference = largest_difference(expected, actual, self.tolerance, artefact, str(sample))
            largest = max(largest, difference)
        return largest

    def input_axes(self) -> dict[str, Axes]:
        return input_axes(self.interface.inputs)

    def output_axes(self) -> dict[str, Axes]:
        sizes = [sample.sizes for sample in self.samples]
        return output_axes(self.interface.outputs, sizes, self.predictions)

    def report(
        self, target: Path, artefact: Path, kind: str, detail: str, difference: float
    ) -> ExportReport:
        """What the export returns, for the artefact before it moves to its target."""

        def tensors(ports: Sequence[Port], axes: dict[str, Axes]) -> tuple[TensorInfo, ...]:
            return tuple(TensorInfo(port.name, port.dtype, axes[port.name]) for port in ports)

        return ExportReport(
            path=target,
            format=kind,
            detail=detail,
            size_bytes=total_size(artefact),
            inputs=tensors(self.interface.inputs, self.input_axes()),
            outputs=tensors(self.interface.outputs, self.output_axes()),
            largest_difference=difference,
            tolerance=self.tolerance,
            seconds=time.perf_counter() - self.started,
        )


def checks_on_ids(wired: Wiring, inputs: Any, tolerance: float | None) -> list[Check]:
    """The checks of an artefact without strings; the first one has its inputs and outputs.

    Raises:
        ExportError: the model takes strings of which nothing says how they become ids.
    """
    network = wired.network
    if network.strings:
        raise ExportError(
            f"Model {network.model.name!r} takes strings ({', '.join(network.strings)}), which "
            "this format does not have. They become ids by themselves where they go straight into "
            "a text layer. Pass the model on ids instead: the same layers called on "
            '`keras.Input((None,), dtype="int32")`, with texts tokenized before the model.'
        )
    if not wired.takes_texts:
        return [Check.prepare(network, inputs, tolerance)]
    texts = Check.prepare(wired.model, inputs, tolerance, wired.to_ids)
    ids = [wired.to_ids(sample.values) for sample in texts.samples]
    return [Check.prepare(network, ids[0], tolerance), texts]


def _tolerance(interface: Interface, given: float | None) -> float:
    if given is not None:
        if not 0 <= given < float("inf"):
            raise ExportError(f"`tolerance` must be a number from 0 on. Received: {given!r}")
        return float(given)
    dtypes = {layer.compute_dtype for layer in interface.layers()}
    return max([_DEFAULT_TOLERANCE, *(_TOLERANCES.get(str(dtype), 0.0) for dtype in dtypes)])


def _predict_synthetic(
    interface: Interface,
) -> tuple[list[Sample], list[dict[str, np.ndarray]], bool]:
    samples = synthetic_samples(interface)
    try:
        return samples, _predict(interface, samples), False
    except ExportError:
        if len(_lengths(samples[0])) < 2:
            raise
    # Inputs whose names do not say that they share a length may share it all the same.
    samples = synthetic_samples(interface, shared=True)
    return samples, _predict(interface, samples), True


def _is_tied(interface: Interface, sample: Sample) -> bool:
    """Whether the model fails when one of several lengths differs from the others."""
    lengths = _lengths(sample)
    if len(lengths) < 2:
        return False
    sizes = {**sample.sizes, lengths[0]: max(1, sample.sizes[lengths[0]] - 1)}
    try:
        interface.predict(resized(sample, input_axes(interface.inputs), sizes).values)
    except Exception:
        return True
    return False


def _lengths(sample: Sample) -> list[str]:
    return [name for name in sample.sizes if name.endswith("length")]


def _predict(interface: Interface, samples: list[Sample]) -> list[dict[str, np.ndarray]]:
    found = []
    for sample in samples:
        try:
            found.append(interface.predict(sample.values))
        except Exception as error:
            raise ExportError(
                f"Model {interface.model.name!r} itself fails on {sample}. If the inputs are at "
                f"fault, pass a batch of real ones as `inputs=`. Its error: {error}"
            ) from error
    return found
