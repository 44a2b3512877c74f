"""Batches of running text, for language models that keep their states from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers.recurrent.awd_lstm import AWDLSTMEncoder


class TokenStream(keras.utils.PyDataset):
    """All texts as one long text in `batch_size` rows, of which each batch is the next piece.

    The targets are the next tokens, or, for a backward network, the tokens before: its batches go
    from the end of the texts to their begin. The network's states are made zero whenever a pass
    over the texts begins, in `fit`, `evaluate` and `predict`. All batches have one shape; the last
    tokens of a row, which fill no batch, are left out, others in every epoch if texts are shuffled.

    `fit` needs `shuffle=False`: by itself Keras would shuffle the batches, so that states would go
    on in another text. `shuffle=True` here shuffles the texts, before every epoch.

    Args:
        texts: the token ids of each text, 1-D, with the sign of its begin or end and no padding.
        network: the language model, with `stateful=True` and at least `batch_size` state rows.
        batch_size: rows. The paper's scripts have 52, fastai 64.
        bptt: tokens of a row in one batch, over which gradients go back.
        shuffle: whether each epoch has the texts in another order.
        seed: of the shuffling.

    Attributes:
        tokens: number of targets in an epoch.

    Example:

    ```python
    tuned = encoder.with_vocabulary(words, language_model_logits=True, stateful=True)
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, tuned(token_ids))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = [tuned.tokenizer(text)["token_ids"] for text in texts]
    model.fit(finetune.TokenStream(ids, tuned, shuffle=True), epochs=5, shuffle=False)
    ```

    Raises:
        ValueError: the network keeps no states, or too few rows; a text is not 1-D; the texts are
            too short for one batch; or `fit` asks for batches in another order.

    Reference: [Regularizing and Optimizing LSTM Language
    Models](https://arxiv.org/abs/1708.02182), section 5.
    """

    def __init__(
        self,
        texts: Sequence[Any],
        network: AWDLSTMEncoder,
        batch_size: int = 64,
        bptt: int = 70,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check(network, batch_size, bptt)
        self._texts = [_row(text, number) for number, text in enumerate(texts)]
        self._network = network
        self._bptt, self._shuffle = bptt, shuffle
        self._backward = network.architecture.backward
        self._random = np.random.default_rng(seed)
        total = sum(map(len, self._texts))
        # The first token of a row has none before it and is no target.
        self._length = (total - 1) // batch_size
        if self._length < bptt:
            raise ValueError(
                f"The texts have {total} tokens. Expected at least {batch_size * bptt + 1}, for "
                f"one batch of batch_size={batch_size} rows and bptt={bptt} tokens. Make one of "
                "the two smaller."
            )
        self.tokens = len(self) * bptt * batch_size
        self._batch_size = batch_size
        self._rows, self._targets = self._in_rows()
        self._last: int | None = None
        self._in_epoch = False

    def __len__(self) -> int:
        return self._length // self._bptt

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if self._in_epoch and self._last is not None and number not in (0, self._last + 1):
            self._in_epoch = False
            raise ValueError(
                f"Batch {number} was asked for behind batch {self._last}. Expected them in order: "
                "the states of one are where the next begins. Pass `shuffle=False` to fit()."
            )
        self._last = number
        place = slice(number * self._bptt, (number + 1) * self._bptt)
        token_ids, targets = self._rows[:, place], self._targets[:, place]
        if self._backward:
            return token_ids[:, ::-1], targets[:, ::-1]
        return token_ids, targets

    def on_epoch_begin(self) -> None:
        """Makes the network's states zero."""
        self._network.reset_state()
        self._last, self._in_epoch = None, True

    def on_epoch_end(self) -> None:
        """Shuffles the texts, if that was asked for."""
        self._in_epoch = False
        if self._shuffle:
            self._rows, self._targets = self._in_rows()

    def _in_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The tokens in the order in which they are read, and what follows each."""
        texts = self._texts
        if self._shuffle:
            texts = [texts[number] for number in self._random.permutation(len(texts))]
        stream = np.concatenate(texts)
        if self._backward:
            stream = stream[::-1]
        count = self._length * self._batch_size
        shape = (self._batch_size, self._length)
        return stream[:count].reshape(shape), stream[1 : count + 1].reshape(shape)


def _row(text: Any, number: int) -> np.ndarray:
    row = np.asarray(text, "int32")
    if row.ndim != 1:
        raise ValueError(
            f"Text {number} has the shape {row.shape}. Expected the token ids of one text, 1-D: "
            'tokenizer(text)["token_ids"].'
        )
    return row


def _check(network: Any, batch_size: int, bptt: int) -> None:
    if batch_size < 1 or bptt < 1:
        raise ValueError(
            f"`batch_size` and `bptt` must be at least 1. Received: {batch_size} and {bptt}"
        )
    if not (isinstance(network, AWDLSTMEncoder) and network.stateful):
        raise ValueError(
            "`network` must be an AWDLSTMEncoder that keeps its states between batches: make it "
            f"with stateful=True. Received: {network!r}"
        )
    if network.state_rows < batch_size:
        raise ValueError(
            f"Layer {network.name!r} keeps the states of {network.state_rows} rows. Received: "
            f"batch_size={batch_size}. Make it with state_rows={batch_size}."
        )
