"""Which family a checkpoint belongs to, told by the weight maps of the layers themselves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.presets import PresetError, list_presets, load_builder, read_json, resolve
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


def builder_of(family: str) -> Any:
    """The class that builds the networks of a family. This imports Keras and so a backend.

    Raises:
        PresetError: an unknown family, or one of image networks, which have a builder each.
    """
    if family in FAMILIES and FAMILIES[family].takes_images:
        raise PresetError(
            f"The networks of family {family!r} take images, and this command knows those that "
            "take text. In Python their builders of keras_pretrained.applications load a file with "
            "`weights=path`, and `save_weights_as` of the model writes it in another dialect."
        )
    name = list_presets(family=family)[0]
    with _quiet_start():
        return load_builder(name)


def family_of(source: str) -> str:
    """The family of a preset, a folder or a file: by its record, its configuration, its names.

    Raises:
        PresetError: nothing tells it; the message says how to name it.
    """
    located = resolve(source)
    if located.preset is not None:
        return located.preset.family
    if located.config is not None:
        named = read_json(located.config).get("model_type")
        if isinstance(named, str) and named in FAMILIES:
            return named
    families = [fit.family for fit in fitting(open_checkpoint(located.weights))]
    if len(families) == 1:
        return families[0]
    found = f"fit several families: {', '.join(families)}" if families else "fit no known family"
    raise PresetError(
        f"{source!r} does not say which network it holds, and its tensor names {found}. Name it "
        f"with --family, one of: {', '.join(_text_families())}."
    )


def weight_maps(builder: Any) -> Mapping[str, WeightMap]:
    """Dialect -> map of names; empty for a builder that has none."""
    maps: Sequence[WeightMap] = getattr(builder, "weight_maps", ())
    return {weight_map.dialect: weight_map for weight_map in maps}


def fitting(checkpoint: Checkpoint) -> list[Fit]:
    """The families whose networks a checkpoint may hold: those that know most of its names.

    Several share a dialect's names where nothing but a configuration file tells them apart.
    """
    fits = [fit for family in _text_families() if (fit := _fit(checkpoint, family))]
    most = max((fit.known for fit in fits), default=0)
    return [fit for fit in fits if fit.known == most]


def _text_families() -> list[str]:
    return [name for name, family in FAMILIES.items() if not family.takes_images]


def _fit(checkpoint: Checkpoint, family: str) -> Fit | None:
    try:
        found = select_map(checkpoint, tuple(weight_maps(builder_of(family)).values()), {})
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


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keeps from the terminal what TensorFlow's libraries print while they are loaded.

    They print about processors and drivers from C++, before any setting for their log is read. If
    loading fails, all of it is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        terminal = os.dup(2)
    except OSError:
        # There is no standard error to keep anything from.
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
