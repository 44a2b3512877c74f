"""SavedModels of TF2: functions that are attributes of the saved object, or its signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_pretrained.layers.saved_model.endpoint import (
    Endpoint,
    can_compile,
    held,
    replace_captures,
    tree_of,
    used_variables,
)
from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.ports import Several
from keras_pretrained.layers.saved_model.program import is_internal

_DEFAULTS = ("serving_default", "default", "serve")
_NO_VARIABLES = "it has no variables: what it computes is fixed in its graph"


def open_tf2(
    saved: SavedGraph, signature: str | None, arguments: Mapping[str, Any], restore: bool
) -> Endpoint:
    """Loads a SavedModel of TF2.

    Args:
        saved: what was read of it.
        signature: the function to use; by default what the object itself does when it is called.
        arguments: further arguments of the function.
        restore: whether to read the variables from its checkpoint.

    Raises:
        ModuleError: there is no such function, or none that can be a layer.
    """
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not restore)
    loaded = tf.saved_model.load(str(saved.folder), options=options)
    function = _function(saved.name, loaded, signature)
    if function in loaded.signatures.values():
        return _Signature(saved, loaded, function)
    return _Callable(saved, loaded, function, arguments)


def choose(module: str, names: Sequence[str], wanted: str | None) -> str:
    """One of the names of signatures.

    Raises:
        ModuleError: it is none of them, or it is not clear which is meant.
    """
    names = [name for name in names if not is_internal(name)]
    if wanted in names:
        return str(wanted)
    if wanted is None:
        if len(names) == 1:
            return names[0]
        for name in ("default", *_DEFAULTS):
            if name in names:
                return name
    there = (
        f"signatures: {', '.join(sorted(names))}" if names else "no signature that can be called"
    )
    advice = (
        "Choose one with `signature=`."
        if names
        else "It holds variables, or functions that were never traced: save it again with "
        "`signatures=` or a `tf.function(input_signature=...)`, or read its variables with "
        "`keras_pretrained.checkpoints.open_checkpoint`."
    )
    raise ModuleError(f"{module!r} has {there}. {advice} Received: signature={wanted!r}")


def _function(module: str, loaded: Any, wanted: str | None) -> Any:
    signatures = dict(getattr(loaded, "signatures", {}))
    if wanted is None and callable(loaded) and _traces(loaded.__call__):
        return loaded.__call__
    if wanted is not None and wanted not in signatures and wanted.isidentifier():
        attribute = getattr(loaded, wanted, None)
        if not wanted.startswith("_") and _traces(attribute):
            return attribute
    return signatures[choose(module, list(signatures), wanted)]


def _traces(function: Any) -> list[Any]:
    """The calls that were traced when a function was saved."""
    return list(getattr(function, "concrete_functions", ()))


class _Loaded(Endpoint):
    """What both kinds share."""

    kind = "SavedModel of TF2"

    def __init__(self, saved: SavedGraph, loaded: Any, used: Sequence[Any]) -> None:
        listed = getattr(loaded, "trainable_variables", None)
        named = None if listed is None else {id(variable) for variable in listed}

        def trainable(variable: Any) -> bool:
            return bool(variable.trainable) and (named is None or id(variable) in named)

        self.variables, complete = held(used_variables(used), trainable)
        names = [variable.name for variable in self.variables]
        self.complete = complete and not (
            saved.stored_state(names) or saved.initializers_read_variables()
        )
        if not any(variable.trainable for variable in self.variables):
            self.fixed = (
                "none of its variables is marked as trainable" if self.variables else _NO_VARIABLES
            )
        self.compiles = can_compile(used)
        self._used = used
        self._losses = list(getattr(loaded, "regularization_losses", ()))
        view = tf.train.TrackableView(loaded)
        resource = tf.saved_model.experimental.TrackableResource
        self.resources = [each for each in view.descendants() if isinstance(each, resource)]
        # The functions hold their variables and tables by weak references only.
        self._loaded = loaded

    def _replace(self, shared: Mapping[int, Any]) -> None:
        functions = list(self._used)
        for loss in self._losses:
            functions += _traces(loss)
        for each in functions:
            replace_captures(each, shared)

    def losses(self) -> Iterable[Callable[[], Any]]:
        return self._losses


class _Signature(_Loaded):
    """A function of tensors by name."""

    def __init__(self, saved: SavedGraph, loaded: Any, function: Any) -> None:
        super().__init__(saved, loaded, [function])
        self._function = function
        self.inputs = tree_of(function.structured_input_signature[1], saved.name)
        self.outputs = tree_of(function.structured_outputs, saved.name)

    def _call(self, tensors: list[Any], training: bool) -> Any:
        return self._function(**dict(zip(self.inputs, tensors, strict=True)))


class _Callable(_Loaded):
    """A function with arguments, of which several calls were traced."""

    def __init__(
        self, saved: SavedGraph, loaded: Any, function: Any, arguments: Mapping[str, Any]
    ) -> None:
        self._module = saved.name
        self._function = function
        self._arguments = dict(arguments)
        specification = function.function_spec.fullargspec
        self._names = [name for name in specification.args if name != "self"]
        defaults = specification.defaults or ()
        last = self._names[len(self._names) - len(defaults) :]
        self._defaults = dict(zip(last, defaults, strict=True))
        self._defaults.update(specification.kwonlydefaults or {})
        self._unknown_arguments(specification)
        call, train = self._chosen(False), self._chosen(True)
        self.takes_training = train is not call
        super().__init__(saved, loaded, [call, train] if self.takes_training else [call])
        self._traced = {False: call, True: train}
        self._form = {flag: self._template(trace) for flag, trace in self._traced.items()}
        taken = self._inputs(call)
        trees = {name: tree_of(part, saved.name, name) for name, part in taken.items()}
        if not trees:
            raise ModuleError(f"A call of {saved.name!r} takes no tensor, so it is no layer.")
        self.inputs = next(iter(trees.values())) if len(trees) == 1 else Several(trees)
        self.outputs = tree_of(call.structured_outputs, saved.name)

    def _unknown_arguments(self, specification: Any) -> None:
        known = {*self._names, *specification.kwonlyargs}
        unknown = sorted(set(self._arguments) - known)
        if unknown:
            raise ModuleError(
                f"A call of {self._module!r} takes the arguments {', '.join(sorted(known))}. "
                f"Received: arguments={unknown}"
            )

    def _given(self, trace: Any) -> dict[str, Any]:
        """The arguments of a traced call by name: specifications of tensors, or values."""
        positional, named = trace.structured_input_signature
        names = [*self._names, *(f"argument_{index}" for index in range(len(positional)))]
        return {**dict(zip(names, positional, strict=False)), **named}

    def _inputs(self, trace: Any) -> dict[str, Any]:
        """Those of them that are the layer's inputs."""
        return {
            name: part
            for name, part in self._given(trace).items()
            if _has_tensors(part) and name not in self._arguments and name not in self._defaults
        }

    def _chosen(self, training: bool) -> Any:
        """The traced call for training or not that fits the further arguments."""
        fitting = [trace for trace in _traces(self._function) if self._fits(trace)]
        if not fitting:
            raise ModuleError(
                f"{self._module!r} was saved with no call that fits "
                f"arguments={self._arguments!r}. It has: {self._all_calls()}"
            )
        exact = [trace for trace in fitting if self._given(trace).get("training") is training]
        return (exact or fitting)[0]

    def _fits(self, trace: Any) -> bool:
        given = self._given(trace)
        return all(
            name in given and (_has_tensors(given[name]) or given[name] == value)
            for name, value in self._arguments.items()
        )

    def _all_calls(self) -> str:
        return "; ".join(str(self._given(trace)) for trace in _traces(self._function))

    def _template(self, trace: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of a call, and the structures of those that are inputs."""
        inputs, values = self._inputs(trace), {}
        for name, part in self._given(trace).items():
            if name in inputs:
                continue
            value = self._arguments.get(name, self._defaults.get(name))
            values[name] = tf.constant(value, part.dtype) if _has_tensors(part) else part
        return values, inputs

    def _call(self, tensors: list[Any], training: bool) -> Any:
        values, structures = self._form[training]
        values, waiting = dict(values), list(tensors)
        for name, structure in structures.items():
            count = len(tf.nest.flatten(structure))
            values[name] = tf.nest.pack_sequence_as(structure, waiting[:count])
            waiting = waiting[count:]
        positional = []
        for name in self._names:
            if name not in values:
                break
            positional.append(values.pop(name))
        unnamed = sorted(name for name in values if name.startswith("argument_"))
        positional += [values.pop(name) for name in unnamed]
        return self._traced[training](*positional, **values)


def _has_tensors(part: Any) -> bool:
    return any(isinstance(leaf, tf.TypeSpec) for leaf in tf.nest.flatten(part))
