"""Running text as batches for a language model: blocks of tokens, and the token behind each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.lengths import bucket_by_length
from keras_pretrained.finetune.streams import TokenStream


def token_rows(tokenizer: Any, texts: Sequence[str]) -> list[np.ndarray]:
    """The ids of each text, whole, with the family's sign between texts.

    GPT-2 has its end of texts behind each, and before the first; fast.ai's texts begin with a sign
    of their own.
    """
    ids = tokenizer.pieces(texts, is_split=False)
    end = getattr(tokenizer, "end_id", None)
    if end is None:
        return ids
    sign = np.array([end], "int32")
    return [sign, *(np.append(row, sign) for row in ids)]


def token_blocks(
    rows: Sequence[np.ndarray],
    network: Any,
    block_length: int,
    batch_size: int,
    training: bool,
) -> Any:
    """Batches `(inputs, next tokens, weights)` of all texts one behind the other.

    Args:
        rows: the ids of each text.
        network: a language model; a backward one has the tokens before as targets. One that keeps
            states reads on, from batch to batch, where it was.
        block_length: tokens of a row.
        batch_size: rows.
        training: whether each epoch has another order: of blocks, or of texts where states are
            kept.

    Raises:
        ValueError: fewer than two tokens.
    """
    if getattr(network, "stateful", False):
        seed = int(np.random.randint(2**31))
        return _WithMask(TokenStream(rows, network, batch_size, block_length, training, seed))
    joined = np.concatenate(rows)
    count = len(joined) - 1
    if count < 1:
        raise ValueError(f"Expected texts of two tokens or more. Received: {len(joined)} tokens")
    backward = getattr(network.architecture, "backward", False)
    token_ids, targets = (joined[1:], joined[:-1]) if backward else (joined[:-1], joined[1:])
    # The last block is filled up: all have one shape.
    padding = (0, -count % block_length)

    def blocks(values: np.ndarray, fill: int = 0) -> np.ndarray:
        return np.pad(values, padding, constant_values=fill).reshape(-1, block_length)

    mask = blocks(np.ones(count, "int32"))
    return bucket_by_length(
        {"token_ids": blocks(token_ids, max(network.pad_id, 0)), "padding_mask": mask},
        blocks(targets),
        mask.astype("float32"),
        batch_size=min(batch_size, len(mask)),
        lengths=[block_length],
        fill=training,
        shuffle=training,
        seed=int(np.random.randint(2**31)),
        per_token=True,
    )


class _WithMask(keras.utils.PyDataset):
    """The batches of a stream, whose rows have no padding, as the inputs of a task."""

    def __init__(self, stream: TokenStream) -> None:
        super().__init__()
        self._stream = stream

    def __len__(self) -> int:
        return len(self._stream)

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        token_ids, targets = self._stream[number]
        return {"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)}, targets

    def on_epoch_begin(self) -> None:
        self._stream.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._stream.on_epoch_end()
