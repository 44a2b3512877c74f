"""States of recurrent layers that pass from one batch to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


class RecurrentStates(keras.layers.Layer):
    """For each recurrent layer the states behind the last batch, a row for each of its rows.

    A batch with fewer rows leaves the other rows as they are.

    Args:
        sizes: name of a recurrent layer -> the sizes of its states.
        rows: the most rows of a batch.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, ...]], rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {name: tuple(each) for name, each in sizes.items()}
        self.rows = rows

    def build(self, input_shape: Any = None) -> None:
        self.held: dict[str, list[Any]] = {}
        for name, sizes in self.sizes.items():
            self.held[name] = [
                self.add_weight(
                    shape=(self.rows, size),
                    initializer="zeros",
                    trainable=False,
                    autocast=False,
                    name=f"{name}_{number}",
                )
                for number, size in enumerate(sizes)
            ]

    def read(self, name: str, inputs: Any) -> tuple[Any, ...]:
        """The states for a batch, as many rows as `inputs` has."""
        count = inputs.shape[0]
        if isinstance(count, int) and count > self.rows:
            raise ValueError(
                f"A stateful layer keeps the states of {self.rows} rows. Received: a batch of "
                f"{count}. Make batches smaller, or give the layer more with `state_rows=`."
            )
        return tuple(state[: keras.ops.shape(inputs)[0]] for state in self.held[name])

    def write(self, name: str, states: tuple[Any, ...]) -> None:
        """Keeps the states behind a batch."""
        ops = keras.ops
        for variable, state in zip(self.held[name], states, strict=True):
            state = ops.cast(state, variable.dtype)
            rest = variable[ops.shape(state)[0] :]
            variable.assign(ops.reshape(ops.concatenate([state, rest]), variable.shape))

    def reset(self) -> None:
        """All states become zero again."""
        for variable in self.weights:
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))

    def call(self, inputs: Any) -> Any:
        """Not for use: states are read and written by name."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": self.sizes, "rows": self.rows}
