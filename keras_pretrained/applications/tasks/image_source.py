"""The image network of a task: made from a source as the task needs it, or given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_pretrained.applications.vision.images import image_spec
from keras_pretrained.applications.vision.making import without_head
from keras_pretrained.applications.vision.vision_model import VisionModel
from keras_pretrained.layers.backbone_source import Wrapped, WrappedModel, wrapped
from keras_pretrained.layers.frozen_backbone import FrozenBackbone
from keras_pretrained.presets import ImageSpec, preset_of

_OF_BACKBONE = frozenset({"trainable_from", "keep_statistics"})

_PLAIN = ImageSpec("", 0, "", "antialiased-bilinear", 0)
"""How images are prepared for a network of which nothing is known: resized to a square."""


def backbone_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of a task that belong to `FrozenBackbone` itself."""
    return {name: value for name, value in options.items() if name in _OF_BACKBONE}


def image_network(
    source: Any,
    options: Mapping[str, Any],
    size: int | None = None,
    include_top: bool = False,
) -> Wrapped:
    """The network of a source, with its own classifier or without.

    Args:
        source: what `FrozenBackbone` takes.
        options: of the task.
        size: height and width of its images, where a preset is built for others than its own.

    Raises:
        ValueError: no source of that kind; PresetError: a preset of another kind.
    """
    options = {name: value for name, value in options.items() if name not in _OF_BACKBONE}
    if _is_preset(source):
        options["include_top"] = include_top
        if size is not None:
            options.setdefault("input_shape", (size, size, 3))
    elif isinstance(source, VisionModel) and source.plan.include_top and not include_top:
        source = without_head(source)
    return wrapped(source, options)


def check_given(backbone: FrozenBackbone, options: Mapping[str, Any]) -> None:
    """Raises a ValueError where options were passed beside a backbone that is made already."""
    if options:
        raise ValueError(
            f"Backbone {backbone.name!r} is made already: {', '.join(sorted(options))} belong to "
            "its own constructor."
        )


def has_own_head(backbone: FrozenBackbone) -> bool:
    """Whether its output is that of the classifier that the network was published with."""
    return isinstance(backbone.model, VisionModel) and backbone.model.plan.include_top


def pools(network: Wrapped) -> bool:
    """Whether the output of a network is one feature map, which has yet to become a vector."""
    if not isinstance(network, WrappedModel):
        return False
    shapes = [tensor.shape for tensor in network.network.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 4


def preparation(images: Any, source: Any, backbone: FrozenBackbone) -> ImageSpec:
    """How images are prepared for a network.

    Args:
        images: the preset whose preparation it is, an `ImageSpec` or its fields; None for that of
            the network's own preset, or a plain resize for a network that has none.
        source: what the network was made from.
    """
    if isinstance(images, Mapping):
        return ImageSpec(**images)
    if images is None:
        plan = getattr(backbone.model, "plan", None)
        images = source if _is_preset(source) else plan and plan.preset
    return _PLAIN if images is None else image_spec(images)


def image_size(backbone: FrozenBackbone, size: Any, published: int) -> tuple[int, int]:
    """Height and width of the images that go into a network.

    Args:
        size: what the user chose: both, one number for both, or None for the network's own.
        published: that of its preset, for a network that takes any size; or 0.

    Raises:
        ValueError: a network that takes no images, or not of this size; or no size is known.
    """
    shapes = [tuple(x.shape) for x in keras.tree.flatten(backbone.symbolic_inputs())]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise ValueError(
            "Expected a network that takes images, (batch, height, width, 3). "
            f"Received: {backbone.model.name!r}, which takes {', '.join(map(str, shapes))}"
        )
    taken = shapes[0][1:3]
    wanted = size
    if size is None:
        wanted = tuple(side or published for side in taken)
        if not all(wanted):
            raise ValueError(
                f"Network {backbone.model.name!r} takes images of any size. Pass `size=`, the "
                "height and width to which all are resized."
            )
    height, width = (wanted, wanted) if isinstance(wanted, int) else tuple(wanted)
    if min(height, width) < 1 or (taken[0] or height, taken[1] or width) != (height, width):
        sides = " x ".join(str(side or "any") for side in taken)
        raise ValueError(
            f"Network {backbone.model.name!r} takes images of {sides}. Received: size={size!r}"
        )
    return height, width


def sized(spec: ImageSpec, height: int, width: int) -> ImageSpec:
    """The same preparation for images of another size.

    Raises:
        ValueError: images that are no squares; none are prepared for those.
    """
    if height != width:
        raise ValueError(
            f"Images are prepared as squares. Expected a network that takes them. "
            f"Received: one that takes {height} x {width}"
        )
    crop = None if spec.resize is None else round(spec.resize * height / spec.size)
    return replace(spec, size=height, resize=crop)


def _is_preset(source: Any) -> bool:
    """Whether a source is the name of an image network with published weights."""
    if not isinstance(source, str) or "://" in source or Path(source).exists():
        return False
    preset = preset_of(source)
    if preset is not None and preset.image is None:
        image_spec(preset)  # Says that it takes no images.
    return preset is not None
