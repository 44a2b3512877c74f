"""Golden data of how torchvision prepares images, made by torchvision itself.

Program: `torchvision.transforms._presets.ImageClassification`, which the weights' records name,
with the sizes of these records, on Pillow images. Mean 0 and standard deviation 1 take the
place of ImageNet's, so that the pixels remain.
Versions: Python 3.11, torchvision 0.28.0, torch 2.13.0, pillow 13.0.0 (and, as found when it
ran, in `image_preparation/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_image_preparation.py

`expected.npz` has one array for each size of image and transform: every sixteenth pixel of every
sixteenth row of the crop (uint8), and `..._sum` of all pixels of each channel.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from image_pattern import pattern
from PIL import Image

# Builds of torchvision for other machines lack these operators, and then refuse to be imported;
# they have no part in what follows.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for operator in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, operator):
        OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")

from torchvision.transforms._presets import ImageClassification  # noqa: E402

FOLDER = Path(__file__).parent / "image_preparation"
SIZES = ((375, 500), (500, 333), (180, 131), (257, 256), (1201, 300))
TRANSFORMS = ((224, 256), (224, 232), (299, 342))


def main() -> None:
    arrays = {}
    for height, width in SIZES:
        image = Image.fromarray(pattern(height, width))
        for crop, resize in TRANSFORMS:
            transform = ImageClassification(
                crop_size=crop, resize_size=resize, mean=(0.0,) * 3, std=(1.0,) * 3
            )
            pixels = np.rint(transform(image).numpy() * 255).astype(np.uint8).transpose(1, 2, 0)
            name = f"{height}x{width}_{resize}_{crop}"
            arrays[name] = pixels[::16, ::16]
            arrays[f"{name}_sum"] = pixels.sum(axis=(0, 1), dtype=np.int64)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    facts = {
        "program": "torchvision.transforms._presets.ImageClassification",
        "command": "python tests/goldens/make_image_preparation.py",
        "versions": {
            name: version(name).partition("+")[0] for name in ("torchvision", "torch", "pillow")
        },
        "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in sorted(arrays.items())},
    }
    (FOLDER / "golden.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
