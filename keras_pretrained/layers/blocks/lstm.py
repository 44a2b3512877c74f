"""A long short-term memory that every published dialect fits: projection, clipping, gate order."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block

State = tuple[Any, ...]
"""Hidden state (batch, output size) and cell state (batch, units).

With `detach_every` also (batch, 1), the number of real positions that were read.
"""

GATES = "ifgo"
"""Input gate, forget gate, candidate (TensorFlow 1 calls it j), output gate: torch's order."""


class LSTM(Block):
    """One direction of a long short-term memory, one vector a position.

    With `z = x W + h R + b` cut into four equal parts, i, f, g and o:

    `c = clip(sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(g))`,
    `h = clip((sigmoid(o) * tanh(c)) P)`; the output is `h`, and `h + x` with `residual`.

    `x W + b` is one matrix product for all positions; only `h R` is inside of the loop. The loop is
    `keras.layers.RNN`, which trains under XLA, runs on JAX and becomes a Loop of ONNX.

    Reference: [Long Short-Term Memory Based Recurrent Neural Network Architectures for Large
    Vocabulary Speech Recognition](https://arxiv.org/abs/1402.1128).

    Args:
        units: size of the cell state.
        projection_size: size of the hidden state, if a projection makes it of the cell's output.
        gate_order: how the stored kernels have the gates: `"ifgo"` is torch's and Keras' order,
            `"igfo"` TensorFlow 1's.
        forget_bias: what is added to the forget gate beside the stored bias; TensorFlow 1 does not
            store its 1.0.
        cell_clip: bound of the cell state's absolute value, or None.
        projection_clip: bound of the hidden state's absolute value, or None.
        reverse: whether the positions are read from the last to the first. The outputs stand where
            their inputs do.
        residual: whether the input is added to the output, of the same size. The recurrence does
            not see it.
        recurrent_bias: whether there is a second bias, as in torch: the gradient changes their sum
            twice as much as one alone.
        kernel_initializer, recurrent_initializer: of the kernels, when the weights are random.

    Variables, with `size` for the size of the hidden state: `kernel` (features, 4 units),
    `recurrent_kernel` (size, 4 units), `bias` (4 units,), perhaps `recurrent_bias` (4 units,), and
    with a projection `projection_kernel` (units, size).

    Example:

    ```python
    layer = LSTM(4096, 512, gate_order="igfo", forget_bias=1.0, cell_clip=3.0, projection_clip=3.0)
    outputs, state = layer(inputs, mask=mask, return_state=True)   # (batch, length, 512)
    outputs = layer(more_inputs, initial_state=state)
    ```
    """

    def __init__(
        self,
        units: int,
        projection_size: int | None = None,
        *,
        gate_order: str = GATES,
        forget_bias: float = 0.0,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        reverse: bool = False,
        residual: bool = False,
        recurrent_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sorted(gate_order) != sorted(GATES):
            raise ValueError(
                f"`gate_order` must have the letters of {GATES!r}, each once. "
                f"Received: {gate_order!r}"
            )
        self.supports_masking = True
        self.units = units
        self.projection_size = projection_size
        self.gate_order = gate_order
        self.forget_bias = forget_bias
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.reverse = reverse
        self.residual = residual
        self.has_recurrent_bias = recurrent_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    @property
    def output_size(self) -> int:
        """Size of the hidden state."""
        return self.units if self.projection_size is None else self.projection_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, gates = input_shape[-1], 4 * self.units
        if self.residual and features != self.output_size:
            raise ValueError(
                f"`residual=True` adds the input to the output: layer {self.path!r} needs inputs "
                f"of size {self.output_size}. Received: {features}"
            )
        self.kernel = self.add_weight(
            shape=(features, gates), initializer=self.kernel_initializer.clone(), name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.output_size, gates),
            initializer=self.recurrent_initializer.clone(),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(shape=(gates,), initializer="zeros", name="bias")
        if self.has_recurrent_bias:
            self.recurrent_bias = self.add_weight(
                shape=(gates,), initializer="zeros", name="recurrent_bias"
            )
        if self.projection_size is not None:
            self.projection_kernel = self.add_weight(
                shape=(self.units, self.projection_size),
                initializer=self.kernel_initializer.clone(),
                name="projection_kernel",
            )

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        initial_state: State | None = None,
        return_state: bool = False,
        recurrent_mask: Any = None,
        detach_every: int | None = None,
    ) -> Any:
        """Runs over all positions.

        Args:
            inputs: (batch, length, features).
            mask: (batch, length), true where a position is real. The others leave the state as it
                is, wherever they stand, and have zeros as output (with `residual`, their input).
            initial_state: what `return_state` gave before, or None for zeros.
            return_state: whether the state behind the last real position is returned, too.
            recurrent_mask: factors for the recurrent kernel, of its shape, the same at every
                position (weight drop).
            detach_every: number of real positions after which no gradient goes back through the
                state, counted from the first one that is read (truncated back-propagation).

        Returns:
            (batch, length, output size), or that and the state.
        """
        ops = keras.ops
        sequence = inputs
        if self.reverse:
            # Turned around before the projection, which makes it many times as wide.
            sequence = ops.flip(inputs, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        projected = ops.matmul(sequence, self.kernel) + self._input_bias()
        recurrent = ops.convert_to_tensor(self.recurrent_kernel)
        if recurrent_mask is not None:
            recurrent = recurrent * ops.cast(recurrent_mask, recurrent.dtype)
        loop = keras.layers.RNN(
            _Cell(self, recurrent, detach_every),
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            name="loop",
        )
        start = None if initial_state is None else list(initial_state)
        if detach_every is not None and (start is None or len(start) == 2):
            start = self._counted(inputs, start)
        # Its computation alone: as a layer it would cast what it is given, and mark the outputs.
        outputs, *state = loop.call(projected, initial_state=start, mask=mask)
        outputs = ops.cast(outputs, self.compute_dtype)
        if self.reverse:
            outputs = ops.flip(outputs, axis=1)
        if self.residual:
            outputs = outputs + inputs
        return (outputs, tuple(state)) if return_state else outputs

    def _counted(self, inputs: Any, state: list[Any] | None) -> list[Any]:
        ops = keras.ops
        batch = ops.shape(inputs)[0]
        if state is None:
            dtype = keras.backend.result_type(self.compute_dtype, "float32")
            state = [ops.zeros((batch, size), dtype) for size in (self.output_size, self.units)]
        return [*state, ops.zeros((batch, 1), "int32")]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: who gives the mask has it."""
        return None

    def _input_bias(self) -> Any:
        bias = keras.ops.convert_to_tensor(self.bias)
        if self.has_recurrent_bias:
            bias = bias + self.recurrent_bias
        if not self.forget_bias:
            return bias
        added = [self.forget_bias if gate == "f" else 0.0 for gate in self.gate_order]
        return bias + keras.ops.repeat(keras.ops.convert_to_tensor(added, bias.dtype), self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "projection_size": self.projection_size,
            "gate_order": self.gate_order,
            "forget_bias": self.forget_bias,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "reverse": self.reverse,
            "residual": self.residual,
            "recurrent_bias": self.has_recurrent_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }


class _Cell:
    """What `keras.layers.RNN` repeats; it has no variables, because those are the layer's.

    The states and what is done to them are float32 at least: over a long text, sums in half
    precision drift away.
    """

    def __init__(self, layer: LSTM, recurrent: Any, detach_every: int | None = None) -> None:
        self.compute_dtype = keras.backend.result_type(layer.compute_dtype, "float32")
        self.state_size = [layer.output_size, layer.units]
        self._detach_every = detach_every
        if detach_every is not None:
            # The third state counts real positions: padding leaves it as it is, too.
            self.state_size.append(1)
        self.output_size = layer.output_size
        self._layer = layer
        self._recurrent = recurrent
        self._projection = (
            None
            if layer.projection_size is None
            else keras.ops.convert_to_tensor(layer.projection_kernel)
        )

    def call(self, projected: Any, states: Any) -> tuple[Any, list[Any]]:
        """One position: (batch, 4 units) and the states before it -> output and states."""
        ops, layer = keras.ops, self._layer
        hidden, cell, *count = states
        if self._detach_every is not None:
            border = ops.equal(count[0] % self._detach_every, 0)
            hidden, cell = (ops.where(border, ops.stop_gradient(x), x) for x in (hidden, cell))
            count = [count[0] + 1]
        z = self._precise(projected) + self._product(hidden, self._recurrent)
        parts = dict(zip(layer.gate_order, ops.split(z, 4, axis=-1), strict=True))
        cell = ops.sigmoid(parts["f"]) * cell + ops.sigmoid(parts["i"]) * ops.tanh(parts["g"])
        cell = _clipped(cell, layer.cell_clip)
        hidden = ops.sigmoid(parts["o"]) * ops.tanh(cell)
        if self._projection is not None:
            hidden = self._product(hidden, self._projection)
        hidden = _clipped(hidden, layer.projection_clip)
        return hidden, [hidden, cell, *count]

    __call__ = call

    def _product(self, states: Any, kernel: Any) -> Any:
        return self._precise(keras.ops.matmul(keras.ops.cast(states, kernel.dtype), kernel))

    def _precise(self, x: Any) -> Any:
        return keras.ops.cast(x, self.compute_dtype)


def _clipped(x: Any, bound: float | None) -> Any:
    return x if bound is None else keras.ops.clip(x, -bound, bound)
