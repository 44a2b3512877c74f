"""Golden data of FCN's head, computed by PyTorch.

Program: `torch.nn.functional.conv2d` with kernels of 1 x 1 and `interpolate` (bilinear,
`align_corners=False`), put together as section 4.2 of the paper has it: the scores of the
coarsest map are resized to those of the next one and added, and at last resized to the images.
Sides are odd, so that no map is a whole multiple of another.
Versions: Python 3.11, torch 2.13.0 (and, as found when it ran, in `fcn_head/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_fcn_head.py

`expected.npz` has for each stride a feature map `map_8`, ... (images, height, width, channels), the
convolution `kernel_8`, `bias_8` that scores it, and the `logits` of the whole.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import conv2d, interpolate

FOLDER = Path(__file__).parent / "fcn_head"
SIZE = (33, 51)
CLASSES = 3
CHANNELS = {8: 4, 16: 5, 32: 6}


def main() -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    total = None
    for stride in sorted(CHANNELS, reverse=True):
        height, width = (-(-side // stride) for side in SIZE)
        channels = CHANNELS[stride]
        made = {
            "map": random.normal(size=(2, height, width, channels)),
            "kernel": random.normal(size=(1, 1, channels, CLASSES)),
            "bias": random.normal(size=CLASSES),
        }
        arrays |= {f"{name}_{stride}": each.astype("float32") for name, each in made.items()}
        tensors = {name: torch.from_numpy(arrays[f"{name}_{stride}"]) for name in made}
        kernel = tensors["kernel"].permute(3, 2, 0, 1)
        score = conv2d(tensors["map"].permute(0, 3, 1, 2), kernel, tensors["bias"])
        if total is not None:
            score = score + resized(total, (height, width))
        total = score
    arrays["logits"] = resized(total, SIZE).permute(0, 2, 3, 1).contiguous().numpy()
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    facts = {
        "program": "torch.nn.functional",
        "command": "python tests/goldens/make_fcn_head.py",
        "versions": {"torch": version("torch").partition("+")[0]},
        "size": SIZE,
    }
    (FOLDER / "golden.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def resized(scores: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return interpolate(scores, size=size, mode="bilinear", align_corners=False)


if __name__ == "__main__":
    main()
