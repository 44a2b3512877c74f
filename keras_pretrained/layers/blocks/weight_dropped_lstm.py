"""The LSTM of AWD-LSTM: in training, recurrent weights are dropped, and gradients end in time."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.lstm import LSTM, State


class WeightDroppedLSTM(LSTM):
    """An LSTM whose recurrent kernel loses a share of its entries, anew at every call in training.

    The entries that stay are divided by `1 - weight_dropout`. They are the same at all positions
    and for all rows of a batch. The biases are torch's two.

    Reference: [Regularizing and Optimizing LSTM Language
    Models](https://arxiv.org/abs/1708.02182), section 2.

    Args:
        units: size of the state.
        weight_dropout: the share.
    """

    def __init__(self, units: int, weight_dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(units, recurrent_bias=True, **kwargs)
        self.weight_dropout = keras.layers.Dropout(weight_dropout, name="weight_dropout")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        initial_state: State | None = None,
        return_state: bool = False,
        recurrent_mask: Any = None,
        detach_every: int | None = None,
        training: bool | None = None,
    ) -> Any:
        """Runs over all positions; see `LSTM.call`.

        Args:
            recurrent_mask: factors in place of those that are drawn.
            training: whether weights are dropped.
        """
        if training and recurrent_mask is None and self.weight_dropout.rate:
            ones = keras.ops.ones(self.recurrent_kernel.shape, "float32")
            recurrent_mask = self.weight_dropout(ones, training=True)
        return super().call(inputs, mask, initial_state, return_state, recurrent_mask, detach_every)

    def run_truncated(
        self,
        inputs: Any,
        mask: Any,
        initial_state: State | None = None,
        *,
        detach_every: int,
        kept: int | None = None,
        training: bool | None = None,
    ) -> tuple[Any, State]:
        """Runs over texts of any length; gradients go back over a bounded part of each.

        The numbers are those of `call`.

        Args:
            inputs, mask: (batch, length, features), (batch, length).
            initial_state: as for `call`.
            detach_every: as for `call`.
            kept: how many of the positions that are read last can have gradients at all: before
                them, nothing is remembered for the gradients.
            training: whether gradients will be taken; else this is a plain call.

        Returns:
            Outputs and state.
        """
        if not training:
            return self(
                inputs, mask=mask, initial_state=initial_state, return_state=True, training=False
            )
        options = {"return_state": True, "detach_every": detach_every, "training": True}
        length = inputs.shape[1]
        if kept is None or (isinstance(length, int) and length <= kept):
            return self(inputs, mask=mask, initial_state=initial_state, **options)
        ops = keras.ops
        drawn = ops.ones(self.recurrent_kernel.shape, "float32")
        options["recurrent_mask"] = self.weight_dropout(drawn, training=True)
        # Rows are moved so that all end where reading ends; padding does not change the numbers.
        order, back = _orders(mask, to_end=not self.reverse)
        x, real = _reordered(inputs, order), ops.take_along_axis(mask, order, axis=1)
        if self.reverse:
            early, late = slice(kept, None), slice(None, kept)
        else:
            early, late = slice(None, -kept), slice(-kept, None)
        # An empty loop has no shape that all backends know: a position of padding makes it longer.
        before = ops.pad(ops.stop_gradient(x[:, early]), [(0, 0), (1, 0), (0, 0)])
        there = ops.pad(real[:, early], [(0, 0), (1, 0)])
        outputs, state = self(before, mask=there, initial_state=initial_state, **options)
        first = ops.stop_gradient(outputs[:, 1:])
        state = tuple(ops.stop_gradient(part) for part in state)
        second, state = self(x[:, late], mask=real[:, late], initial_state=state, **options)
        parts = [second, first] if self.reverse else [first, second]
        return _reordered(ops.concatenate(parts, axis=1), back), state

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["recurrent_bias"]
        return {**config, "weight_dropout": self.weight_dropout.rate}


def _orders(mask: Any, to_end: bool) -> tuple[Any, Any]:
    """The order that moves each row's real positions to one end, and the one that moves back."""
    ops = keras.ops
    real = ops.cast(mask, "int32")
    order = ops.argsort(_stable(real if to_end else 1 - real), axis=1)
    return order, ops.argsort(order, axis=1)


def _stable(keys: Any) -> Any:
    """Keys in which equal ones follow each other as they stand."""
    length = keras.ops.shape(keys)[1]
    return keys * length + keras.ops.arange(length, dtype="int32")[None]


def _reordered(x: Any, order: Any) -> Any:
    return keras.ops.take_along_axis(x, order[..., None], axis=1)
