"""Inputs on which an artefact is compared with its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.axes import BATCH, Axes, group, input_axes
from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.export.report import ExportError
from keras_pretrained.layers.text.text_encoder import TextEncoder

_BATCHES = (3, 2)
_LENGTHS = (13, 6)
_PIXELS = (96, 128)
_SMALL_IDS = 10
# Scripts, accents, marks, an emoji and control characters: what tokenizers treat differently.
_WORDS = (
    "The",
    "naïve",
    "fox;",
    "jumps:",
    "2024",
    "我爱北京",
    "Ещё",
    "don't",
    "a-b",
    "😀",
    "\tx\n",
)


@dataclass(frozen=True)
class Sample:
    """One batch: its values and its axis sizes by name."""

    values: dict[str, np.ndarray]
    sizes: dict[str, int]

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
        return f"an input of {sizes}" if sizes else "an input of fixed size"


@dataclass(frozen=True)
class Limits:
    """What ids a model takes, as its text encoders or embedding tables say."""

    vocabulary: int
    positions: int | None
    segments: int
    pad_id: int

    @classmethod
    def of(cls, interface: Interface) -> Limits:
        layers = interface.layers()
        encoders = [layer for layer in layers if isinstance(layer, TextEncoder)]
        tables = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]

        def smallest(name: str) -> int | None:
            found = [getattr(getattr(one, "architecture", None), name, None) for one in encoders]
            return min((size for size in found if size is not None), default=None)

        small = min([_SMALL_IDS, *(table.input_dim for table in tables)])
        return cls(
            vocabulary=smallest("vocabulary_size") or small,
            positions=smallest("max_positions"),
            segments=smallest("num_segments") or 2,
            pad_id=encoders[0].pad_id if encoders else 0,
        )


# --- made up ---------------------------------------------------------------------------------


def synthetic_samples(interface: Interface, shared: bool = False) -> list[Sample]:
    """Two batches of different sizes with valid ids, both segments and real padding.

    Args:
        shared: give all inputs one length, for a model that ties them.
    """
    limits = Limits.of(interface)
    axes = input_axes(interface.inputs)
    names = list(
        dict.fromkeys(
            axis for shape in axes.values() for axis in shape[1:] if isinstance(axis, str)
        )
    )
    samples = []
    for number, batch in enumerate(_BATCHES):
        sizes = {BATCH: batch}
        for place, name in enumerate(names):
            sizes[name] = _size(name, number, 0 if shared else place, limits)
        values = _Maker(limits, axes, sizes, seed=number)
        samples.append(Sample({port.name: values(port) for port in interface.inputs}, sizes))
    return samples


def _size(name: str, number: int, offset: int, limits: Limits) -> int:
    if name.endswith(("height", "width")):
        return _PIXELS[(number + offset) % 2]
    size = _LENGTHS[number]
    if limits.positions is not None:
        size = min(size, limits.positions // (number + 1))
    return max(1, size - offset)


class _Maker:
    """Makes the inputs of one batch, so that they agree about padding."""

    def __init__(
        self, limits: Limits, axes: Mapping[str, Axes], sizes: Mapping[str, int], seed: int
    ) -> None:
        self.limits = limits
        self.axes = axes
        self.sizes = sizes
        self.random = np.random.default_rng(seed)
        self.masks: dict[tuple[str, int, int], np.ndarray] = {}

    def __call__(self, port: Port) -> np.ndarray:
        shape = tuple(
            self.sizes[axis] if isinstance(axis, str) else axis for axis in self.axes[port.name]
        )
        if port.dtype == "string":
            return self._texts(shape)
        kind = np.dtype(port.dtype).kind if port.dtype != "bfloat16" else "f"
        if len(shape) == 2 and port.name.endswith("mask"):
            values = self._mask(port, shape)
        elif kind == "b":
            values = self.random.integers(0, 2, shape)
        elif kind == "u":
            values = self.random.integers(0, 256, shape)
        elif kind == "i":
            values = self._ids(port, shape)
        else:
            values = self.random.standard_normal(shape)
        return values.astype(port.dtype)

    def _texts(self, shape: tuple[int, ...]) -> np.ndarray:
        """Texts of up to two dozen words, one of them empty."""
        texts = np.empty(shape, dtype=object)
        for place, index in enumerate(np.ndindex(shape)):
            words = self.random.choice(_WORDS, 0 if place == 1 else self.random.integers(1, 24))
            texts[index] = " ".join(words)
        return texts

    def _mask(self, port: Port, shape: tuple[int, ...]) -> np.ndarray:
        """1 at real positions: the first text is full, the others are padded behind."""
        batch, length = shape
        key = (group(port.name), batch, length)
        if key not in self.masks:
            real = self.random.integers(1, max(length, 2), batch)
            real[0] = length
            self.masks[key] = (np.arange(length) < real[:, None]).astype("int32")
        return self.masks[key]

    def _ids(self, port: Port, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) != 2:
            return self.random.integers(0, self.limits.vocabulary, shape)
        mask = self._mask(port, shape)
        if port.name.endswith(("segment_ids", "token_type_ids")):
            # A first and a second text in every row, as in a pair of texts.
            segments = self.random.integers(0, self.limits.segments, shape)
            return np.sort(segments, axis=1) * mask
        ids = self.random.integers(0, self.limits.vocabulary, shape)
        ids = np.where(ids == self.limits.pad_id, (ids + 1) % self.limits.vocabulary, ids)
        return np.where(mask == 1, ids, self.limits.pad_id)


# --- given -----------------------------------------------------------------------------------


def given_samples(interface: Interface, inputs: Any) -> list[Sample]:
    """A user's batch, and a part of it with fewer rows and, for texts, a smaller length."""
    values = {
        port.name: _checked(port, value)
        for port, value in zip(
            interface.inputs, interface.named_inputs(inputs).values(), strict=True
        )
    }
    axes = input_axes(interface.inputs)
    sizes = _sizes(axes, values)
    smaller = dict(sizes)
    if BATCH in sizes:
        smaller[BATCH] = (sizes[BATCH] + 1) // 2 if sizes[BATCH] > 1 else 2
    for port in interface.inputs:
        name = axes[port.name][1] if len(port.shape) == 2 else None
        if isinstance(name, str) and group(port.name) != port.name:
            smaller[name] = (sizes[name] + 1) // 2
    whole = Sample(values, sizes)
    return [whole, resized(whole, axes, smaller)]


def resized(sample: Sample, axes: Mapping[str, Axes], sizes: Mapping[str, int]) -> Sample:
    """The sample with other sizes: its first rows and positions, or those again from the start."""
    values = {}
    for name, array in sample.values.items():
        for axis, label in enumerate(axes[name]):
            if isinstance(label, str):
                places = np.arange(sizes[label]) % array.shape[axis]
                array = np.take(array, places, axis=axis)
        values[name] = array
    return Sample(values, dict(sizes))


def _checked(port: Port, value: Any) -> np.ndarray:
    try:
        array = np.asarray(_numpy(port, value))
    except Exception as error:
        raise ExportError(f"Input {port.name!r} in `inputs` is not an array: {error}") from error
    if (
        len(array.shape) != len(port.shape)
        or 0 in array.shape
        or any(
            size not in (None, given) for size, given in zip(port.shape, array.shape, strict=False)
        )
    ):
        raise ExportError(
            f"Input {port.name!r} in `inputs` must have the shape {port.shape} and at least one "
            f"row. Received: {array.shape}"
        )
    if port.dtype == "string":
        return array
    # Ids come as int64 from many programs; what must not pass unseen is a change of value.
    with np.errstate(invalid="ignore"):
        converted = array.astype(port.dtype) if array.dtype.kind not in "OSU" else None
    whole = np.dtype(port.dtype).kind in "biu" if port.dtype != "bfloat16" else False
    if converted is None or (whole and not np.array_equal(converted, array)):
        raise ExportError(
            f"Input {port.name!r} in `inputs` must hold values that fit {port.dtype}. "
            f"Received: {array.dtype}"
        )
    return converted


def _numpy(port: Port, value: Any) -> Any:
    if port.dtype != "string":
        return keras.ops.convert_to_numpy(value)
    array = np.array(value.numpy() if hasattr(value, "numpy") else value, dtype=object)
    wrong = [text for text in array.flat if not isinstance(text, str | bytes)]
    if wrong:
        raise TypeError(f"{wrong[0]!r} is no text")
    return array


def _sizes(axes: Mapping[str, Axes], values: Mapping[str, np.ndarray]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, array in values.items():
        for axis, size in zip(axes[name], array.shape, strict=True):
            if isinstance(axis, str) and sizes.setdefault(axis, size) != size:
                raise ExportError(
                    f"Input {name!r} in `inputs` has {axis} {size}. Expected {sizes[axis]}, as in "
                    "the inputs before it."
                )
    return sizes
