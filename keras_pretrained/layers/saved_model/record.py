"""What a configuration says of a module: all but the module itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keras_pretrained.layers.saved_model.files import ModuleError, ModuleFiles
from keras_pretrained.layers.saved_model.ports import Tree, from_config, to_config

if TYPE_CHECKING:
    from keras_pretrained.layers.saved_model.endpoint import Endpoint


@dataclass(frozen=True)
class Choice:
    """Which function of a module is meant.

    Attributes:
        signature: name of a signature or of another function; None for the module's own call.
        tags: of a graph of TF1; None for the one for inference.
        arguments: further arguments of the function.
    """

    signature: str | None = None
    tags: tuple[str, ...] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredVariable:
    """A variable without its value."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool


@dataclass(frozen=True)
class ModuleRecord:
    """A module as far as a layer must know it before it is there.

    Attributes:
        name: for messages; no path.
        digest: identifies its files.
        handle: the address that a machine must have fetched, or None if the file has the module.
        kind: its format in words.
        inputs, outputs: what the function takes and gives.
        variables: those of the layer, in order.
        state: whether it keeps more in its checkpoint than these.
        compiles: whether XLA can compile it.
        takes_training: whether it has a form of its own for training.
        fixed: why nothing in it can be trained, or None.
    """

    name: str
    digest: str
    handle: str | None
    kind: str
    inputs: Tree
    outputs: Tree
    variables: tuple[StoredVariable, ...]
    state: bool
    compiles: bool
    takes_training: bool
    fixed: str | None

    @classmethod
    def of(cls, files: ModuleFiles, endpoint: Endpoint, outputs: Tree) -> ModuleRecord:
        """That of a module that is loaded."""
        return cls(
            name=files.handle or files.folder.name,
            digest=files.digest,
            handle=files.handle,
            kind=endpoint.kind,
            inputs=endpoint.inputs,
            outputs=outputs,
            variables=_stored(endpoint),
            state=files.state,
            compiles=endpoint.compiles,
            takes_training=endpoint.takes_training,
            fixed=endpoint.fixed,
        )

    def check(self, endpoint: Endpoint, name: str) -> None:
        """Raises ModuleError unless a module has the variables of this record."""
        if _stored(endpoint) != self.variables:
            there = [variable.name for variable in _stored(endpoint)]
            raise ModuleError(
                f"{name!r} has other variables than the model was saved with: {there}. Expected "
                f"{[variable.name for variable in self.variables]}."
            )

    def to_config(self, with_handle: bool) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "name": self.name,
            "digest": self.digest,
            "handle": self.handle if with_handle else None,
            "kind": self.kind,
            "inputs": to_config(self.inputs),
            "outputs": to_config(self.outputs),
            "variables": [
                {"name": x.name, "shape": list(x.shape), "dtype": x.dtype, "trainable": x.trainable}
                for x in self.variables
            ],
            "state": self.state,
            "compiles": self.compiles,
            "takes_training": self.takes_training,
            "fixed": self.fixed,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ModuleRecord:
        """The record that `to_config` wrote."""
        variables = tuple(
            StoredVariable(**{**each, "shape": tuple(each["shape"])})
            for each in config["variables"]
        )
        ports = {key: from_config(config[key]) for key in ("inputs", "outputs")}
        return cls(**{**config, **ports, "variables": variables})


def _stored(endpoint: Endpoint) -> tuple[StoredVariable, ...]:
    return tuple(
        StoredVariable(
            each.name, tuple(each.value.shape.as_list()), each.value.dtype.name, each.trainable
        )
        for each in endpoint.variables
    )
