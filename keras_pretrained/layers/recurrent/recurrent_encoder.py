"""What text encoders made of LSTMs share: states between batches, and what is frozen below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from keras_pretrained.layers.blocks.lstm import LSTM
from keras_pretrained.layers.blocks.recurrent_states import RecurrentStates
from keras_pretrained.layers.depth import StageCall, State
from keras_pretrained.layers.text.text_encoder import TextEncoder


class RecurrentEncoder(TextEncoder):
    """A text encoder of LSTMs, which may begin a batch where the one before it ended.

    Attributes:
        states: what is kept between batches, or None.
    """

    states: RecurrentStates | None = None

    def __init__(self, *, jit_compile: bool | str = False, **kwargs: Any) -> None:
        # Inside a step that is not compiled as a whole, XLA cannot hand a loop's gradients over.
        super().__init__(jit_compile=jit_compile, **kwargs)

    def keep_states(self, lstms: Iterable[LSTM], rows: int) -> None:
        """Lets each batch begin with the states of the one before; `rows` are a batch's most."""
        sizes = {lstm.name: (lstm.output_size, lstm.units) for lstm in lstms}
        self.states = RecurrentStates(sizes, rows, name="states")

    def first_state(self, lstm: LSTM, inputs: Any) -> Any:
        """What an LSTM begins with: the kept state, or None for zeros."""
        return None if self.states is None else self.states.read(lstm.name, inputs)

    def keep_state(self, lstm: LSTM, state: Any) -> None:
        """Keeps the state behind a batch, if states are kept."""
        if self.states is not None:
            self.states.write(lstm.name, state)

    def reset_state(self) -> None:
        """Makes the states of a stateful layer zero again."""
        if self.states is not None:
            self.states.reset()

    def run_stages(self, state: State, start: int, stop: int, call: StageCall) -> State:
        frozen = self._first_trainable if self.trainable else len(self.stages)
        for index in range(start, stop):
            state = super().run_stages(state, index, index + 1, call)
            if index < frozen:
                # Else TensorFlow would build the gradients of frozen loops and throw them away.
                state = {name: _detached(x) for name, x in state.items()}
        return state

    def build_new(self) -> None:
        super().build_new()
        if self.states is not None:
            self.states.build()


def _detached(x: Any) -> Any:
    is_integer = "int" in keras.backend.standardize_dtype(x.dtype)
    return x if is_integer else keras.ops.stop_gradient(x)
