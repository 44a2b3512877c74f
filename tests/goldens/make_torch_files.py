"""Small files by PyTorch itself, in every container and layout that the reader must know.

Program: `torch.save`. Versions: Python 3.11, torch 2.13.0, numpy 2.4.6 (and, as found when it
ran, in `torch_files/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_torch_files.py

Each `X.pth` is a zip archive, `X_legacy.pth` the same object in the stream before torch 1.6:

    dtypes      every element type, numbers at the edges of their range
    layouts     transposed, sliced and offset views, shared storage, one element, no element
    nested      a training checkpoint: state dict, optimizer state, settings, Namespace, Parameter
    single      one tensor, nothing around it
    modern      float8 and unsigned types, which only the zip container holds

`expected.npz` has the values by `file/path`, as `tensor.numpy()` gives them; types that NumPy
lacks are stored as their bits, and `golden.json` has the name of every tensor's type.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "torch_files"
_BITS = {1: torch.uint8, 2: torch.int16}


def dtypes() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    made: dict[str, torch.Tensor] = {}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        info = torch.finfo(dtype)
        edges = [0.0, -0.0, info.max, info.min, info.tiny, float("inf"), float("-inf")]
        values = torch.randn(5, generator=generator).tolist()
        made[str(dtype).removeprefix("torch.")] = torch.tensor(edges + values, dtype=dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        info = torch.iinfo(dtype)
        made[str(dtype).removeprefix("torch.")] = torch.tensor([info.min, info.max, 7], dtype=dtype)
    made["bool"] = torch.tensor([True, False, True])
    made["complex64"] = torch.tensor([1 + 2j, -3.5j], dtype=torch.complex64)
    return made


def layouts() -> dict[str, torch.Tensor]:
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    shared = torch.arange(12, dtype=torch.int64)
    return OrderedDict(
        contiguous=base,
        transposed=base.permute(2, 0, 1),
        sliced=base[1:, ::2, 1:4],
        row=base[2, 3],
        whole=shared,
        tail=shared[5:],
        every_third=shared[::3],
        one=torch.tensor(2.5),
        one_inside=base[1, 2, 3],
        empty=torch.zeros(0, 4),
        empty_inside=base[:, 4:],
        column=base[:, :1, :1].expand(3, 1, 1),
        half_transposed=torch.arange(6, dtype=torch.float16).reshape(2, 3).t(),
        bfloat16_transposed=torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).t(),
    )


def nested() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(2)
    model = torch.nn.Sequential(OrderedDict(fc=torch.nn.Linear(3, 2), norm=torch.nn.BatchNorm1d(2)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    model(torch.randn(4, 3, generator=generator)).square().sum().backward()
    optimizer.step()
    return {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "epoch": 3,
        "best": np.float64(91.25),
        "arch": "tiny",
        "done": None,
        "args": argparse.Namespace(lr=0.1, layers=[1, 2], name="run"),
        "size": torch.Size([2, 3]),
        "dtype": torch.float32,
        "array": np.arange(6, dtype=np.int32).reshape(2, 3),
        "raw": b"\x00\xff",
        "history": [{"loss": torch.tensor([1.0, 2.0])}, {"loss": torch.tensor([3.0])}],
    }


def modern() -> dict[str, torch.Tensor]:
    values = torch.tensor([0.0, 1.0, -2.0, 0.4375, 448.0])
    made = {
        str(dtype).removeprefix("torch."): values.to(dtype)
        for dtype in (torch.float8_e4m3fn, torch.float8_e5m2)
    }
    for dtype in (torch.uint16, torch.uint32, torch.uint64):
        top = torch.iinfo(dtype).max
        made[str(dtype).removeprefix("torch.")] = torch.tensor([0, 5, top], dtype=dtype)
    return made


def tensors(value: Any, path: str = "") -> dict[str, torch.Tensor]:
    """The tensors of an object by dotted path, by a program that knows nothing of the reader."""
    if isinstance(value, torch.Tensor):
        return {path or "tensor": value.detach()}
    if isinstance(value, np.ndarray):
        return {path: torch.from_numpy(value)}
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = enumerate(value)
    found: dict[str, torch.Tensor] = {}
    for key, part in parts:
        found.update(tensors(part, f"{path}.{key}" if path else str(key)))
    return found


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    plain = tensor.contiguous()
    name = str(tensor.dtype)
    if "bfloat16" in name or "float8" in name:
        plain = plain.view(_BITS[tensor.element_size()])
    return plain.numpy()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    objects = {
        "dtypes": dtypes(),
        "layouts": layouts(),
        "nested": nested(),
        "single": torch.arange(3.0),
        "modern": modern(),
    }
    expected: dict[str, np.ndarray] = {}
    types: dict[str, str] = {}
    for name, value in objects.items():
        torch.save(value, FOLDER / f"{name}.pth")
        if name != "modern":
            torch.save(value, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)
        for path, tensor in tensors(value).items():
            expected[f"{name}/{path}"] = as_numpy(tensor)
            types[f"{name}/{path}"] = str(tensor.dtype).removeprefix("torch.")
    np.savez_compressed(FOLDER / "expected.npz", **expected)
    facts = {
        "program": "torch.save",
        "command": "python tests/goldens/make_torch_files.py",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "dtypes": types,
    }
    (FOLDER / "golden.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
