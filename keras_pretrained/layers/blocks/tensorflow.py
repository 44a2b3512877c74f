"""What only TensorFlow needs; on other backends these are the plain operations."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import keras


def take_summed(table: Any, ids: Any, training: bool | None) -> Any:
    """`take(table, ids, axis=0)` whose gradient is one dense tensor.

    TensorFlow's gradient of a lookup lists a slice for each id, repeated ids included, and
    Keras' optimizers square the slices before they sum them (keras 3.15): Adam then divides by a
    second moment that is too small wherever a batch repeats a token. Other backends, and other
    frameworks, sum first.

    Args:
        table: (rows, width).
        ids: integers of any shape.
        training: whether a gradient will be taken; otherwise this is the plain operation.

    Returns:
        `ids.shape + (width,)`.
    """
    ops = keras.ops
    if not training or keras.backend.backend() != "tensorflow":
        return ops.take(table, ids, axis=0)
    import tensorflow as tf

    @ops.custom_gradient
    def lookup(values: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            (slices,) = args if upstream is None else (upstream,)
            flat = ops.reshape(slices, (-1, values.shape[-1]))
            return ops.segment_sum(flat, ops.reshape(ids, (-1,)), num_segments=values.shape[0])

        return ops.take(values, ids, axis=0), gradient

    # A tensor, because a custom gradient may not read variables unseen.
    return lookup(tf.convert_to_tensor(table))


class CompiledParts:
    """Parts of a network that run as XLA programs inside a TensorFlow step that is none.

    XLA has no strings: a step that tokenizes cannot be compiled as a whole. Each part is one
    function, made once: a function made anew inside `call` would be compiled at every call.
    """

    def __init__(self) -> None:
        self._functions: dict[Hashable, Any] = {}

    def run(self, key: Hashable, part: Callable[..., Any], *arguments: Any) -> Any:
        """`part(*arguments)`; equal keys must mean an equal `part`."""
        import tensorflow as tf

        if key not in self._functions:
            self._functions[key] = tf.function(part, jit_compile=True, autograph=False)
        return self._functions[key](*arguments)

    def __len__(self) -> int:
        return len(self._functions)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledParts:
        return CompiledParts()

    def __reduce__(self) -> Any:
        return CompiledParts, ()


def in_step(model: keras.Model | None) -> bool:
    """Whether a step of a model on strings is being traced, as in `fit` and `predict`.

    Raises:
        ValueError: the whole step is to be compiled, strings included. Keras takes a functional
            model's inputs into account, but it cannot see those of a subclassed one.
    """
    import tensorflow as tf

    if model is None or not tf.inside_function():
        return False
    if model.compiled and model.jit_compile:
        raise ValueError(
            f"Model {model.name!r} calls a layer on strings, which XLA does not have. Pass "
            "`jit_compile=False` to `compile()`: the layer and the optimizer's update run under "
            "XLA all the same."
        )
    return not tf.distribute.has_strategy()


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def compile_update(optimizer: Any) -> None:
    """Lets the optimizer's update run as one XLA program.

    In a step that is not compiled as a whole the update of each variable is a dozen operations,
    which together cost more than the network's own gain from XLA. Clipping, weight decay and
    averages are part of the update; the optimizer's class, configuration and state stay as they
    are.
    """
    # A loss-scaling optimizer hands the update to the one inside.
    while getattr(optimizer, "inner_optimizer", None) is not None:
        optimizer = optimizer.inner_optimizer
    update = getattr(optimizer, "_backend_apply_gradients", None)
    if update is None or isinstance(getattr(update, "__self__", None), _CompiledUpdate):
        return
    optimizer._backend_apply_gradients = _CompiledUpdate(update).apply


class _CompiledUpdate:
    def __init__(self, update: Callable[..., None]) -> None:
        self._update = update
        self._parts = CompiledParts()

    def apply(self, gradients: Any, variables: Any) -> None:
        held = list(variables)
        key = tuple(id(variable) for variable in held)
        self._parts.run(key, lambda given: self._update(given, held), list(gradients))
