"""The variables of a module as those of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras


class Described(Protocol):
    """A variable of a module; without `value` where the module is not there yet."""

    name: str
    trainable: bool


class ModuleVariables(keras.layers.Layer):
    """Holds variables that a module's functions read.

    Args:
        described: `ModuleVariable`, whose values are taken over as they are, or `StoredVariable`,
            of which zeros are made until the module comes.
    """

    def __init__(self, described: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        for each in described:
            value = getattr(each, "value", None)
            with self._open_name_scope():
                variable = keras.Variable(
                    "zeros" if value is None else value,
                    shape=tuple(each.shape if value is None else value.shape),
                    dtype=each.dtype if value is None else value.dtype.name,
                    trainable=each.trainable,
                    autocast=False,
                    # Keras' names hold no slashes.
                    name=each.name.replace("/", "."),
                )
            self._track_variable(variable)
        # Keras keeps trainable variables apart; the module has an order of its own.
        self._order = [*self._trainable_variables, *self._non_trainable_variables]
        kinds = [[each for each in described if each.trainable is kind] for kind in (True, False)]
        places = {id(each): place for place, each in enumerate(described)}
        self._places = [places[id(each)] for kind in kinds for each in kind]
        self.built = True

    def bind(self, values: Sequence[Any], keep: bool) -> None:
        """Lets each variable be another `tf.Variable`.

        Args:
            values: in the order in which they were described.
            keep: whether they get the values of the variables that they replace.
        """
        for variable, place in zip(self._order, self._places, strict=True):
            if keep:
                values[place].assign(variable.value)
            # Keras has no way to exchange what a variable stands on, and a module's functions can
            # only be loaded with variables of their own.
            variable._value = values[place]
