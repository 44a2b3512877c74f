"""One image network with the same random weights in ours and in the program that published it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result

KERAS = {
    "MobileNetV1": "MobileNet",
    "MobileNetV2": "MobileNetV2",
    "ResNetV1_50": "ResNet50",
    "InceptionV3": "InceptionV3",
    "VGG16": "VGG16",
    "Xception": "Xception",
}
TORCHVISION = {"ResNet18": "resnet18", "ResNet50": "resnet50", "DenseNet121": "densenet121"}
NETWORKS = (*KERAS, *TORCHVISION)
OURS = "ours"
_SIZES = {"InceptionV3": 299, "Xception": 299}
Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Original:
    """The network of another program: `"keras.applications"` or `"torchvision"`."""

    program: str
    model: Any


def arguments(description: str | None, repeats: int) -> argparse.ArgumentParser:
    parser = common.parser(description, repeats)
    parser.add_argument("--network", choices=NETWORKS, default="MobileNetV2")
    parser.add_argument("--batch-size", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--size", type=int, help="of the images; by default the published one")
    return parser


def images_for(options: argparse.Namespace) -> np.ndarray:
    """Random images, (batch, size, size, 3) with values -1 to 1."""
    # The first dense layer of VGG belongs to one size.
    size = 224 if options.network == "VGG16" else options.size
    size = size or _SIZES.get(options.network, 224)
    shape = (options.batch_size, size, size, 3)
    return np.random.default_rng(1).uniform(-1, 1, shape).astype("float32")


def original(name: str, size: int) -> Original:
    """The network, with weights that keep its logits in range, and no dropout."""
    if name in KERAS:
        return Original("keras.applications", _keras(KERAS[name], size))
    return Original("torchvision", _torchvision(TORCHVISION[name]))


def ours(name: str, source: Original, size: int, folder: Path) -> Any:
    """Our network with the weights of the other one."""
    from keras_pretrained import applications

    write = write_h5 if source.program == "keras.applications" else write_pth
    arguments = {"alpha": 1.0} if name.startswith("MobileNet") else {}
    network = getattr(applications, name)(
        weights=write(source.model, folder),
        input_shape=(size, size, 3),
        preprocessing=False,
        classifier_activation=None,
        **arguments,
    )
    return without_dropout(network)


def without_dropout(model: Any) -> Any:
    """Published networks differ in their dropout; here all have none."""
    for layer in model.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    return model


def torch_forward(model: Any) -> Run:
    import torch

    model = model.eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch_images(images)).numpy()

    return run


def torch_images(images: np.ndarray) -> Any:
    """(batch, 3, height, width), with the channels of a pixel side by side in memory."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2)


def channels_last(model: Any) -> Any:
    """A copy of a network of PyTorch whose kernels lie as its fastest convolutions want them."""
    import copy

    import torch

    return copy.deepcopy(model).to(memory_format=torch.channels_last)


def write_h5(model: Any, folder: Path) -> Path:
    """The weights as Keras 2 wrote them."""
    import h5py

    path = folder / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{variable.name}:0" for variable in layer.weights]
            for name, variable in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(variable)
            group.attrs["weight_names"] = [name.encode() for name in names]
    return path


def write_pth(model: Any, folder: Path) -> Path:
    import torch

    torch.save(model.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def _keras(name: str, size: int) -> Any:
    import keras

    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        shape, kind = variable.shape, variable.name
        if kind in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.0, shape))
        elif kind in ("beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.1, shape))
    return without_dropout(model)


def _torchvision(name: str) -> Any:
    import torch
    from torchvision import models

    torch.manual_seed(0)
    model = getattr(models, name)(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.0)
            for tensor in (module.bias, module.running_mean):
                torch.nn.init.normal_(tensor, 0.0, 0.1)
    return model


def run(
    options: argparse.Namespace,
    work: str,
    contestants: Callable[[argparse.Namespace, np.ndarray, Path], Iterable[Contestant]],
    quick_batch_size: int,
) -> list[Result]:
    """Measures the programs that do a kind of work, and prints the table."""
    if options.quick:
        options.size, options.batch_size, options.repeats = 75, quick_batch_size, 1
    images = images_for(options)
    with tempfile.TemporaryDirectory() as folder:
        entries = list(contestants(options, images, Path(folder)))
        results = common.measure(entries, options.repeats)
    common.compare(results, common.largest_difference)
    others = [result.name for result in results if not result.name.startswith(OURS)]
    common.report(
        f"{options.network} {work}, {options.batch_size}x{images.shape[1]}x{images.shape[2]}, "
        f"{options.threads} threads, medians of {options.repeats} interleaved runs",
        ["program", "images/s", "ms", "from, to", "by the fastest other", "difference"],
        [
            [
                result.name,
                f"{options.batch_size / result.median:.1f}",
                f"{result.median * 1e3:.0f}",
                common.spread(result, 1e3),
                common.ratio(results, result, *others),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results
