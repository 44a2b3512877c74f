"""Golden data of torchvision's networks, made by torchvision itself.

Program: `torchvision.models` in inference mode, with the weights and images of
`torchvision_values.py`. Versions: Python 3.11, torchvision 0.28.0, torch 2.13.0, safetensors 0.8.0
(and, as found when it ran, in `torchvision/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_torchvision.py

`expected.npz` has for each network its `logits`, every eighth of them, and for each of the modules
below 32 values of its output, (batch, channels, height, width), at even steps, and their mean
and deviation. `state_dicts.json.gz` has the names and shapes of every state dictionary.

A DenseNet of 9 layers is small enough for whole files, written by torch: `densenet_9_2017.pth` has
the container and the names that the published files of 2017 have, `densenet_9.pth` those of
today, and `densenet_9.safetensors` the same.
"""

from __future__ import annotations

import gzip
import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torchvision_values import images, value

# Builds of torchvision for other machines lack these operators, and then refuse to be imported;
# they have no part in what follows.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for operator in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, operator):
        OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")

from torchvision import models  # noqa: E402

FOLDER = Path(__file__).parent / "torchvision"
SIZE = (65, 96)
SIZES = {"alexnet": (224, 224), "inception_v3": (99, 107)}
"""Those that take no smaller image, or only one size."""
RESNET = ("relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
BLOCKS = [f"features.denseblock{number}" for number in (1, 2, 3, 4)]
DENSENET = (*BLOCKS, *(f"features.transition{number}" for number in (1, 2, 3)))
GOOGLENET = (
    *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b", "maxpool3"),
    *(f"inception4{letter}" for letter in "abcde"),
    *("maxpool4", "inception5a", "inception5b"),
)
INCEPTION = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1"),
    *("Conv2d_4a_3x3", "maxpool2", *(f"Mixed_5{letter}" for letter in "bcd")),
    *(f"Mixed_6{letter}" for letter in "abcde"),
    *(f"Mixed_7{letter}" for letter in "abc"),
)
NETWORKS = {
    **{f"resnet{depth}": RESNET for depth in (18, 34, 50, 101, 152)},
    **{f"densenet{depth}": DENSENET for depth in (121, 161, 169, 201)},
    "squeezenet1_0": tuple(f"features.{place}" for place in (3, 4, 5, 7, 8, 9, 10, 12)),
    "squeezenet1_1": tuple(f"features.{place}" for place in (3, 4, 6, 7, 9, 10, 11, 12)),
    "googlenet": GOOGLENET,
    "inception_v3": INCEPTION,
    "alexnet": ("features.2", "features.5", "features.7", "features.9", "features.12"),
}


def with_values(model: torch.nn.Module) -> torch.nn.Module:
    state = model.state_dict()
    made = {name: torch.from_numpy(value(name, tuple(t.shape))) for name, t in state.items()}
    model.load_state_dict(made, strict=True)
    return model.eval()


def outputs(model: torch.nn.Module, modules: tuple[str, ...], batch: np.ndarray) -> dict:
    found: dict[str, np.ndarray] = {}

    def keep(name: str):
        # The activation behind it may write into the same memory.
        return lambda module, inputs, output: found.update({name: output.detach().clone().numpy()})

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    with torch.no_grad():
        logits = model(torch.from_numpy(batch.transpose(0, 3, 1, 2).copy())).numpy()
    for hook in hooks:
        hook.remove()
    sampled = {}
    for name, array in found.items():
        flat = array.reshape(-1)
        sampled[f"{name}/shape"] = np.array(array.shape)
        sampled[f"{name}/values"] = flat[np.linspace(0, flat.size - 1, 32).astype(int)]
        sampled[f"{name}/moments"] = np.array([flat.mean(dtype="f8"), flat.std(dtype="f8")])
    return {"logits": logits, **sampled}


class Published:
    """What torchvision asks of a published weight file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_state_dict(self, **options: object) -> dict[str, torch.Tensor]:
        return torch.load(self.path)


def small_densenet() -> models.DenseNet:
    return models.DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=8, num_classes=5)


def files_of_small_densenet() -> dict[str, np.ndarray]:
    model = with_values(small_densenet())
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    torch.save(state, FOLDER / "densenet_9.pth")
    save_file(state, FOLDER / "densenet_9.safetensors")
    older = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    path = FOLDER / "densenet_9_2017.pth"
    torch.save(older, path, _use_new_zipfile_serialization=False)
    made = outputs(model, ("features.denseblock1", "features.transition1"), images(*SIZE))
    again = small_densenet().eval()
    models.densenet._load_state_dict(again, Published(path), progress=False)
    np.testing.assert_array_equal(outputs(again, (), images(*SIZE))["logits"], made["logits"])
    return made


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    arrays = {f"densenet_9/{key}": array for key, array in files_of_small_densenet().items()}
    shapes = {}
    for name, modules in NETWORKS.items():
        options = {"init_weights": False} if "inception" in name or name == "googlenet" else {}
        model = with_values(models.get_model(name, weights=None, **options))
        shapes[name] = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
        batch = images(*SIZES.get(name, SIZE))
        made = outputs(model, modules, batch)
        made["logits"] = made["logits"][:, ::8]
        arrays |= {f"{name}/{key}": array for key, array in made.items()}
        print(name, float(made["logits"].std()))
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    packed = json.dumps(shapes, separators=(",", ":")).encode()
    # No time of this machine: the same content gives the same bytes.
    (FOLDER / "state_dicts.json.gz").write_bytes(gzip.compress(packed, mtime=0))
    facts = {
        "program": "torchvision.models",
        "command": "python tests/goldens/make_torchvision.py",
        "versions": {
            name: version(name).partition("+")[0]
            for name in ("torchvision", "torch", "safetensors")
        },
        "images": {**{name: list(size) for name, size in SIZES.items()}, "all others": list(SIZE)},
    }
    (FOLDER / "golden.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
