"""The tensors that a module takes and gives, and how a layer's inputs are matched with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_pretrained.layers.saved_model.files import ModuleError

Shape = tuple[int | None, ...]
Tree = Any
"""A `Port`, or a dictionary or list of trees."""


@dataclass(frozen=True)
class Port:
    """One tensor.

    Attributes:
        name: as the module has it.
        dtype: of Keras, such as `"float32"` or `"string"`.
        shape: None is a free axis; None as a whole: not even the number of axes is known.
    """

    name: str
    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        shape = "unknown shape" if self.shape is None else f"shape {self.shape}"
        return f"{self.name}: {self.dtype} of {shape}"


@dataclass(frozen=True)
class Several:
    """The positional arguments of a function that takes more than one, by name."""

    ports: dict[str, Tree]


def flat(tree: Tree) -> list[Any]:
    """The leaves of a tree, in order."""
    if isinstance(tree, Several):
        tree = tree.ports
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in flat(part)]
    if isinstance(tree, list):
        return [leaf for part in tree for leaf in flat(part)]
    return [tree]


def mapped(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree with `function` applied to its leaves, and to those in the same place of others."""
    if isinstance(tree, Several):
        tree = tree.ports
    if isinstance(tree, dict):
        return {
            name: mapped(function, part, *(other[name] for other in others))
            for name, part in tree.items()
        }
    if isinstance(tree, list):
        return [
            mapped(function, part, *(other[index] for other in others))
            for index, part in enumerate(tree)
        ]
    return function(tree, *others)


def rebuilt(tree: Tree, leaves: list[Any]) -> Tree:
    """The tree with other leaves, in order."""
    waiting = iter(leaves)
    return mapped(lambda _: next(waiting), tree)


def selected(tree: Tree, name: str | None, module: str) -> Tree:
    """One output by its name, or all; one alone stands for itself.

    Raises:
        ModuleError: there is none of that name.
    """
    if name is not None:
        if not isinstance(tree, dict) or name not in tree:
            there = ", ".join(tree) if isinstance(tree, dict) else "one without a name"
            raise ModuleError(f"{module!r} has the outputs: {there}. Received: output={name!r}")
        return tree[name]
    if isinstance(tree, dict) and len(tree) == 1:
        return next(iter(tree.values()))
    return tree


def described(tree: Tree) -> str:
    """The ports of a tree, for messages."""
    return "; ".join(str(port) for port in flat(tree))


def matched(tree: Tree, inputs: Any, layer: str) -> list[Any]:
    """The layer's inputs in the order of the module's.

    One tensor may stand alone, in a list or in a dictionary; several come as the module takes
    them, a dictionary by name or a list.

    Raises:
        ModuleError: the structure, a type or a shape is another one.
    """
    found = _matched(tree, inputs)
    if found is None:
        raise ModuleError(f"Layer {layer!r} takes {_wanted(tree)}. Received: {_received(inputs)}")
    for port, tensor in zip(flat(tree), found, strict=True):
        problem = _mismatch(port, tensor)
        if problem:
            raise ModuleError(f"Layer {layer!r} takes {port}. Received: {problem}")
    return found


def _matched(tree: Tree, inputs: Any) -> list[Any] | None:
    if isinstance(tree, Several):
        if isinstance(inputs, list | tuple):
            inputs = dict(zip(tree.ports, inputs, strict=False)) if _fits(tree, inputs) else None
        tree = tree.ports
    if isinstance(tree, Port):
        return _single(inputs)
    if len(tree) == 1 and not isinstance(inputs, Mapping | list | tuple):
        only = next(iter(tree.values())) if isinstance(tree, dict) else tree[0]
        return _matched(only, inputs)
    if isinstance(tree, dict):
        if not isinstance(inputs, Mapping) or set(inputs) != set(tree):
            return None
        parts = [_matched(part, inputs[name]) for name, part in tree.items()]
    else:
        if not isinstance(inputs, list | tuple) or len(inputs) != len(tree):
            return None
        parts = [_matched(part, given) for part, given in zip(tree, inputs, strict=True)]
    if any(part is None for part in parts):
        return None
    return [leaf for part in parts for leaf in part or ()]


def _fits(tree: Several, inputs: list[Any] | tuple[Any, ...]) -> bool:
    return len(inputs) == len(tree.ports)


def _single(inputs: Any) -> list[Any] | None:
    while isinstance(inputs, Mapping | list | tuple):
        if len(inputs) != 1:
            return None
        inputs = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs[0]
    return [inputs]


def _wanted(tree: Tree) -> str:
    if isinstance(tree, Port):
        return f"one tensor ({tree})"
    kind = "a list of" if isinstance(tree, list) else "a dictionary of"
    return f"{kind} {described(tree)}"


def _received(inputs: Any) -> str:
    if isinstance(inputs, Mapping):
        return f"a dictionary of {', '.join(map(str, inputs)) or 'nothing'}"
    if isinstance(inputs, list | tuple):
        return f"a list of {len(inputs)}"
    return f"one tensor of shape {tuple(inputs.shape)}"


def squeezed_texts(port: Port, shape: Shape) -> bool:
    """Whether texts came as (batch, 1), as Keras makes them, where the module takes (batch,)."""
    return (
        port.dtype == "string"
        and port.shape is not None
        and len(port.shape) == 1
        and len(shape) == 2
        and shape[1] in (1, None)
    )


def _mismatch(port: Port, tensor: Any) -> str | None:
    """What is wrong with a tensor, or None."""
    dtype = dtype_name(tensor.dtype)
    if tensor.shape is None or getattr(tensor.shape, "rank", 0) is None:
        return None
    shape = tuple(tensor.shape)
    given = f"{dtype} of shape {shape}"
    if (dtype == "string") != (port.dtype == "string"):
        return given
    if port.shape is None or squeezed_texts(port, shape):
        return None
    if len(shape) != len(port.shape) or any(
        None not in (one, other) and one != other
        for one, other in zip(shape, port.shape, strict=True)
    ):
        return given
    return None


def dtype_name(dtype: Any) -> str:
    """The name of a dtype of Keras, NumPy or TensorFlow."""
    return str(getattr(dtype, "name", dtype))


def to_config(tree: Tree) -> Any:
    """A tree as JSON."""
    if isinstance(tree, Several):
        return {"several": {name: to_config(part) for name, part in tree.ports.items()}}
    if isinstance(tree, dict):
        return {"dictionary": {name: to_config(part) for name, part in tree.items()}}
    if isinstance(tree, list):
        return {"list": [to_config(part) for part in tree]}
    shape = None if tree.shape is None else list(tree.shape)
    return {"name": tree.name, "dtype": tree.dtype, "shape": shape}


def from_config(config: Any) -> Tree:
    """The tree that `to_config` wrote."""
    if "several" in config:
        return Several({name: from_config(part) for name, part in config["several"].items()})
    if "dictionary" in config:
        return {name: from_config(part) for name, part in config["dictionary"].items()}
    if "list" in config:
        return [from_config(part) for part in config["list"]]
    shape = None if config["shape"] is None else tuple(config["shape"])
    return Port(config["name"], config["dtype"], shape)
