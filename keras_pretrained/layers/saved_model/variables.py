"""The variables of a module as those of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


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
        kinds = [[each for each in described if each.trainable is kind] for kind in (True, False)]
        places = {id(each): place for place, each in enumerate(described)}
        self._places = [places[id(each)] for kind in kinds for each in kind]
        self.built = True

    def values(self) -> list[Any]:
        """The `tf.Variable`s, in the order in which they were described."""
        # The flag of a variable may have been changed since, so that Keras' lists tell nothing.
        ordered = [*self._trainable_variables, *self._non_trainable_variables]
        found = dict(zip(self._places, ordered, strict=True))
        return [found[place].value for place in range(len(found))]
