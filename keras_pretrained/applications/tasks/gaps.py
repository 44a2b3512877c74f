"""Texts with gaps as rows of ids: to a tokenizer, a mask that stands in a text is but letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_pretrained.tokenizers import SentencePieceTokenizer


def rows_with_gaps(tokenizer: Any, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """What the tokenizer makes of texts, with its mask token for every mask that they hold.

    Raises:
        ValueError: a text without a gap, or one that is cut before its last gap.
    """
    mask = tokenizer.id_to_token(tokenizer.mask_id)
    parts = [text.split(mask) for text in texts]
    # The mask takes the space before it, as RoBERTa's does.
    flat = [part for own in parts for part in (*map(str.rstrip, own[:-1]), own[-1])]
    pieces = iter(tokenizer.pieces(flat, is_split=False))
    rows = []
    for number, own in enumerate(parts):
        made = [next(pieces)]
        for part in own[1:]:
            made += [np.array([tokenizer.mask_id], "int32"), _behind(tokenizer, part, next(pieces))]
        row = np.concatenate(made)[: tokenizer.room()]
        gaps, kept = len(own) - 1, int((row == tokenizer.mask_id).sum())
        if not 0 < gaps == kept:
            held = f"{kept} of {gaps}" if gaps else "none"
            raise ValueError(
                f"Expected one {mask} or more in each text, within {tokenizer.max_length} tokens. "
                f"Text {number} has {held}: {texts[number][:60]!r}"
            )
        rows.append(row)
    return dict(tokenizer.pack_pieces(rows, pad_to="buckets"))


def _behind(tokenizer: Any, part: str, ids: np.ndarray) -> np.ndarray:
    """The ids of what follows a gap, without the space that SentencePiece puts before any text."""
    is_apart = not part or part[0].isspace() or not isinstance(tokenizer, SentencePieceTokenizer)
    if is_apart or not len(ids) or tokenizer.id_to_token(ids[0]) != "\u2581":
        return ids
    return ids[1:]
