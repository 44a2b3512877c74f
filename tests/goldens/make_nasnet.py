"""Golden data of NASNet-A and PNASNet-5, made by their ports to PyTorch.

Program: `NASNetAMobile` and the cells of `PNASNet5Large` of pretrainedmodels, in inference mode,
with fewer channels than published and the weights and images of `slim_values.py`. The port pads as
slim does at the sizes below, whose feature maps are odd and even where those of 224 and 331 are.
Its last pool has the size of the published feature map; the mean over all of it takes its place.
Versions: Python 3.11, pretrainedmodels 0.7.4, torch 2.13.0 (and, as found when it ran, in
`nasnet/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_nasnet.py

    nasnet/NETWORK.npz  `variables`: slim's names and shapes; `size` of the images; `logits`;
                        `ends`: names and shapes of the cells' results; `samples`: 24 values of
                        each of them, at even steps
"""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import slim_values
import torch

FOLDER = Path(__file__).parent / "nasnet"
LEAVES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def port(name: str) -> ModuleType:
    """A module of the package, without the others, which want torchvision."""
    (package,) = importlib.util.find_spec("pretrainedmodels").submodule_search_locations
    spec = importlib.util.spec_from_file_location(name, Path(package) / "models" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nasnet_a() -> torch.nn.Module:
    """Eight filters where NASNet-A mobile has 44."""
    model = port("nasnet_mobile").NASNetAMobile(
        num_classes=slim_values.CLASSES, stem_filters=6, penultimate_filters=24 * 8
    )
    model.avg_pool = torch.nn.AdaptiveAvgPool2d(1)
    return model


def pnasnet_5() -> torch.nn.Module:
    """Eight filters where PNASNet-5 large has 216."""
    pnasnet = port("pnasnet")

    class Narrow(pnasnet.PNASNet5Large):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            conv = torch.nn.Conv2d(3, 6, 3, stride=2, bias=False)
            norm = torch.nn.BatchNorm2d(6, eps=0.001)
            self.conv_0 = torch.nn.Sequential()
            self.conv_0.add_module("conv", conv)
            self.conv_0.add_module("bn", norm)
            self.cell_stem_0 = pnasnet.CellStem0(6, 2, 6, 2)
            self.cell_stem_1 = pnasnet.Cell(
                6, 4, 10, 4, is_reduction=True, match_prev_layer_dimensions=True
            )
            left, right = 10, 20
            for index in range(12):
                width = 8 * 2 ** (index // 4)
                cell = pnasnet.Cell(
                    left,
                    width,
                    right,
                    width,
                    is_reduction=index in (4, 8),
                    zero_pad=index == 4,
                    match_prev_layer_dimensions=index in (0, 5, 9),
                )
                setattr(self, f"cell_{index}", cell)
                left, right = right, 5 * width
            self.relu = torch.nn.ReLU()
            self.avg_pool = torch.nn.AdaptiveAvgPool2d(1)
            self.dropout = torch.nn.Dropout(0.5)
            self.last_linear = torch.nn.Linear(right, slim_values.CLASSES)

    return Narrow()


NETWORKS = {"nasnet_a": (nasnet_a, 64), "pnasnet_5": (pnasnet_5, 44)}


def slim_scope(name: str, network: str) -> str:
    """The scope of a cell; the port leaves out the numbers of the reductions."""
    role, _, number = name.rpartition("_")
    if network == "nasnet_a" and role == "cell":
        return f"cell_{int(number) - 2 * (int(number) // 6)}"
    return name


def slim_name(name: str, network: str, state: dict[str, torch.Tensor]) -> str:
    """Name in the port's state dictionary -> name in slim's checkpoint."""
    *path, leaf = name.split(".")
    if path == ["last_linear"]:
        return f"final_layer/FC/{'weights' if leaf == 'weight' else 'biases'}"
    is_norm = path[-1] != "conv" and not path[-1].endswith("conv2d")
    leaf = LEAVES[leaf] if is_norm else "weights"
    if path[0] in ("conv0", "conv_0"):
        return f"conv0{'_bn' if is_norm else ''}/{leaf}"
    scope, inside = slim_scope(path[0], network), path[1:]
    if "path_1" in inside or "path_2" in inside:
        return f"{scope}/{'path1' if 'path_1' in inside else 'path2'}_conv/{leaf}"
    if inside[-1] == "final_path_bn":
        return f"{scope}/final_path_bn/{leaf}"
    if inside[0] in ("conv_1x1", "conv_prev_1x1"):
        prev = inside[0] == "conv_prev_1x1"
        conv, norm = ("prev_1x1", "prev_bn") if prev else ("1x1", "beginning_bn")
        return f"{scope}/{norm if is_norm else conv}/{leaf}"
    place, _, side = inside[0].rpartition("_")
    scope = f"{scope}/{place}/{side}"
    if not inside[1].startswith(("separable", "bn_sep")):
        return f"{scope}/{'bn_1' if is_norm else '1x1'}/{leaf}"
    kind, _, count = inside[1].rpartition("_")
    window = state[".".join([*path[:2], f"separable_{count}", "depthwise_conv2d", "weight"])]
    size = window.shape[-1]
    if not is_norm:
        leaf = f"{inside[2].removesuffix('_conv2d')}_weights"
    return f"{scope}/{kind}_{size}x{size}_{count}/{leaf}"


def with_values(model: torch.nn.Module, network: str) -> dict[str, tuple[int, ...]]:
    """Gives a model its weights; the names and shapes that they have in slim."""
    state, shapes, made = model.state_dict(), {}, {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            made[name] = tensor
            continue
        slim = slim_name(name, network, state)
        # Slim's order of axes, in which the port's are these ones.
        order = tuple(range(tensor.ndim))
        if tensor.ndim == 4:
            order = (2, 3, 0, 1) if slim.endswith("depthwise_weights") else (2, 3, 1, 0)
        elif tensor.ndim == 2:
            order = (1, 0)
        shapes[slim] = tuple(tensor.shape[axis] for axis in order)
        value = slim_values.value(slim, shapes[slim]).transpose(np.argsort(order))
        made[name] = torch.from_numpy(np.ascontiguousarray(value))
    model.load_state_dict(made, strict=True)
    return shapes


def run(network: str) -> dict[str, np.ndarray]:
    """What one network makes of its images."""
    make, size = NETWORKS[network]
    model = make().eval()
    shapes = with_values(model, network)
    ends: dict[str, np.ndarray] = {}
    for name, module in model.named_children():
        if "cell" in name:
            scope = slim_scope(name, network)
            module.register_forward_hook(
                lambda module, inputs, output, scope=scope: ends.update(
                    {scope: output.numpy().transpose(0, 2, 3, 1)}
                )
            )
    images = torch.from_numpy(slim_values.images(size).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        logits = model(images).numpy()
    return {
        "size": np.array(size),
        "variables": np.array([json.dumps(each) for each in shapes.items()]),
        "ends": np.array([json.dumps([name, end.shape]) for name, end in ends.items()]),
        "samples": np.stack([slim_values.sample(end) for end in ends.values()]),
        "logits": logits,
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for network in NETWORKS:
        arrays = run(network)
        np.savez_compressed(FOLDER / f"{network}.npz", **arrays)
        spread = np.abs(arrays["samples"]).max(axis=1)
        print(network, len(arrays["variables"]), "variables", spread.min(), spread.max())
    content = {
        "program": "pretrainedmodels.models.nasnet_mobile and .pnasnet (PyPI), eval mode, float32",
        "versions": {
            "python": sys.version.split()[0],
            **{
                name: version(name).partition("+")[0]
                for name in ("pretrainedmodels", "torch", "numpy")
            },
        },
        "command": "python tests/goldens/make_nasnet.py",
    }
    (FOLDER / "golden.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
