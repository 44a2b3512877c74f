"""What a published image network takes in and gives out: the typed record of its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_pretrained.presets.checks import check, known
from keras_pretrained.presets.preset import PresetError

WEIGHTS = ("imagenet-slim", "imagenet-keras", "imagenet-torchvision", "imagenet-torchvision-v2")
SCALINGS = ("inception", "vgg", "caffe", "torch")
INTERPOLATIONS = ("bilinear", "antialiased-bilinear", "nearest")

_TYPES = {
    "weights": str,
    "size": int,
    "scaling": str,
    "resize": int,
    "crop_fraction": float,
    "interpolation": str,
    "classes": int,
    "top_1": float,
    "top_5": float,
}
_OPTIONAL = ("resize", "crop_fraction", "top_1", "top_5")


@dataclass(frozen=True)
class ImageSpec:
    """How the images of a published network were prepared, and what it scored.

    `keras_pretrained.applications.prepare_images` follows `size`, `resize`, `crop_fraction` and
    `interpolation`; the scaling is inside the network.

    Attributes:
        weights: the value of the builder's `weights=`: `"imagenet-slim"`, `"imagenet-keras"`,
            `"imagenet-torchvision"`, or `"imagenet-torchvision-v2"` for those that torchvision
            trained again.
        size: height and width of the input, in pixels.
        scaling: of values 0..255 in RGB. `"inception"`: x / 127.5 - 1. `"vgg"`: minus 123.68,
            116.78, 103.94. `"caffe"`: turned into BGR, then minus 103.939, 116.779, 123.68.
            `"torch"`: x / 255, minus the mean 0.485, 0.456, 0.406, divided by the standard
            deviation 0.229, 0.224, 0.225.
        resize: the shorter side before the central crop of `size`, or None: no such crop.
        crop_fraction: what is kept of each side before all is resized to `size`, or None: all.
        interpolation: `"bilinear"`: two pixels a side, source = target x scale, as in TensorFlow 1
            with `align_corners=False`. `"antialiased-bilinear"`: the triangle grows with the
            reduction, as in Pillow. `"nearest"`: the pixel under the target's centre, as in
            Pillow.
        classes: columns of the output: 1000, or 1001 with the background first.
        top_1: published accuracy on the ImageNet validation set, one crop, in percent, or None.
        top_5: likewise.
    """

    weights: str
    size: int
    scaling: str
    interpolation: str
    classes: int
    resize: int | None = None
    crop_fraction: float | None = None
    top_1: float | None = None
    top_5: float | None = None

    def __str__(self) -> str:
        steps = []
        if self.crop_fraction:
            steps.append(f"central {self.crop_fraction:.1%}")
        if self.resize:
            steps.append(f"shorter side to {self.resize}, centre crop")
        steps.append(f"{self.size} x {self.size}, {self.interpolation}")
        return f"{'; '.join(steps)}; {self.scaling} scaling; {self.classes} classes"


def image_spec(entries: Mapping[str, Any], where: str) -> ImageSpec:
    """The record of a table's entries.

    Raises:
        PresetError: an entry is missing, unknown, of the wrong type, or out of its range.
    """
    here = f"{where}, image"
    check(entries, _TYPES, here, (key for key in _TYPES if key not in _OPTIONAL))
    known(entries["weights"], WEIGHTS, f"{here}, weights")
    known(entries["scaling"], SCALINGS, f"{here}, scaling")
    known(entries["interpolation"], INTERPOLATIONS, f"{here}, interpolation")
    spec = ImageSpec(**entries)
    for problem in _problems(spec):
        raise PresetError(f"{here}: {problem}.")
    return spec


def _problems(spec: ImageSpec) -> list[str]:
    found = []
    if spec.size < 1:
        found.append(f"size must be positive, not {spec.size}")
    if spec.classes not in (1000, 1001):
        found.append(f"classes must be 1000 or 1001, not {spec.classes}")
    if spec.resize is not None and spec.resize < spec.size:
        found.append(f"resize={spec.resize} leaves too little to crop size={spec.size}")
    if spec.crop_fraction is not None and not 0 < spec.crop_fraction < 1:
        found.append(f"crop_fraction must lie in (0, 1), not {spec.crop_fraction}")
    if spec.resize is not None and spec.crop_fraction is not None:
        found.append("resize and crop_fraction exclude each other")
    for name, score in (("top_1", spec.top_1), ("top_5", spec.top_5)):
        if score is not None and not 1 < score < 100:
            found.append(f"{name} is in percent, not {score}")
    return found
