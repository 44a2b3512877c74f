"""Which family, and so which layer, a source of a text network belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.presets import (
    PresetError,
    list_presets,
    load_builder,
    preset_of,
    read_json,
    resolve,
)
from keras_pretrained.presets.families import FAMILIES
from keras_pretrained.weights import WeightMap, WeightsError, select_map


@dataclass(frozen=True)
class Fit:
    """How far one dialect of one family speaks the names of a checkpoint.

    Attributes:
        known: tensors that its layers load.
        ignored: tensors that they leave out by name.
        unknown: all others.
    """

    family: str
    dialect: str
    known: int
    ignored: int
    unknown: int


class UnknownFamily(PresetError):
    """A source that does not say which network it holds."""


def text_families() -> list[str]:
    """The families whose networks take text."""
    return [name for name, family in FAMILIES.items() if not family.takes_images]


def layer_of(family: str) -> Any:
    """The layer class of a family that takes text.

    Raises:
        PresetError: an unknown family, or one of image networks, which have a builder each.
    """
    if family in FAMILIES and FAMILIES[family].takes_images:
        raise PresetError(
            f"The networks of family {family!r} take images; those that take text are expected. "
            "In Python their builders of keras_pretrained.applications load a file with "
            "`weights=path`, and `save_weights_as` of the model writes it in another dialect."
        )
    return load_builder(list_presets(family=family)[0])


def family_of(source: str | os.PathLike[str]) -> str:
    """The family of a preset, a folder or a file: by its record, its configuration, its names.

    Raises:
        UnknownFamily: nothing tells it.
    """
    preset = preset_of(source)
    if preset is not None:
        return preset.family  # Without fetching its files.
    located = resolve(source)
    if located.config is not None:
        named = read_json(located.config).get("model_type")
        if isinstance(named, str) and named in FAMILIES:
            return named
    families = [fit.family for fit in fitting(open_checkpoint(located.weights))]
    if len(families) == 1:
        return families[0]
    found = f"fit several families: {', '.join(families)}" if families else "fit no known family"
    raise UnknownFamily(
        f"{str(source)!r} does not say which network it holds, and its tensor names {found}."
    )


def weight_maps(layer: Any) -> Mapping[str, WeightMap]:
    """Dialect -> map of names; empty for a layer that has none."""
    maps: Sequence[WeightMap] = getattr(layer, "weight_maps", ())
    return {weight_map.dialect: weight_map for weight_map in maps}


def fitting(checkpoint: Checkpoint) -> list[Fit]:
    """The families whose networks a checkpoint may hold: those that know most of its names.

    Several share a dialect's names where nothing but a configuration file tells them apart.
    """
    fits = [fit for family in text_families() if (fit := _fit(checkpoint, family))]
    most = max((fit.known for fit in fits), default=0)
    return [fit for fit in fits if fit.known == most]


def _fit(checkpoint: Checkpoint, family: str) -> Fit | None:
    try:
        found = select_map(checkpoint, tuple(weight_maps(layer_of(family)).values()), {})
    except WeightsError:
        return None
    known = found.known(checkpoint, {})
    others = [name for name in checkpoint if name not in known]
    ignored = sum(found.reason_to_ignore(name) is not None for name in others)
    unknown = len(others) - ignored
    # A few names in common, such as `dense/kernel`, do not make a network.
    if len(known) < unknown:
        return None
    return Fit(family, found.dialect, len(known), ignored, unknown)
