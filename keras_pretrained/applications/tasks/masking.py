"""Which tokens a masked language model has to guess, and what it sees in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from keras_pretrained.tokenizers import (
    ByteLevelBPETokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordPieceTokenizer,
)

_SHOWN_AS_MASK, _SHOWN_AS_RANDOM = 0.8, 0.1

_BEGINS_WORD: tuple[tuple[type[Tokenizer], Callable[[str], bool]], ...] = (
    (WordPieceTokenizer, lambda token: not token.startswith("##")),
    (SentencePieceTokenizer, lambda token: token.startswith("\u2581")),
    (ByteLevelBPETokenizer, lambda token: token.startswith("\u0120")),
)


@dataclass(frozen=True)
class Masking:
    """Chooses tokens at random: 80 % are shown as the mask, 10 % as any token, 10 % as they are.

    Attributes:
        tokenizer: one with a mask token. Its special tokens are never chosen.
        rate: the share of a text's tokens that is chosen; at least one is.
        whole_words: whether all tokens of a word are chosen together.

    Reference: [BERT](https://arxiv.org/abs/1810.04805), section 3.1 and appendix A.1.
    """

    tokenizer: Any
    rate: float = 0.15
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"`mask_rate` must lie between 0 and 1. Received: {self.rate!r}")

    def maskable(self, token_ids: np.ndarray, padding_mask: np.ndarray) -> np.ndarray:
        """bool, of the shape of the ids: which tokens may be chosen."""
        special = np.isin(token_ids, [*self.tokenizer.special_ids])
        return np.asarray((padding_mask != 0) & ~special)

    def apply(
        self, token_ids: np.ndarray, maskable: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees, and which tokens it has to guess, bool; both (texts, length)."""
        numbers = np.broadcast_to(np.arange(token_ids.shape[1]), token_ids.shape)
        if self.whole_words:
            # A special token stands between words, too.
            numbers = np.cumsum(self._begins_word[token_ids] | ~maskable, axis=1)
        chosen = np.zeros(token_ids.shape, bool)
        for row, words, allowed in zip(chosen, numbers, maskable, strict=True):
            row[allowed] = self._chosen(words[allowed], random)
        draw = random.random(token_ids.shape)
        others = random.integers(self.tokenizer.vocabulary_size, size=token_ids.shape)
        seen = np.where(draw < _SHOWN_AS_MASK + _SHOWN_AS_RANDOM, others, token_ids)
        seen = np.where(draw < _SHOWN_AS_MASK, self.tokenizer.mask_id, seen)
        return np.where(chosen, seen, token_ids).astype(token_ids.dtype), chosen

    def _chosen(self, words: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """bool (tokens,) of a text, from the number of each token's word."""
        wanted = max(1, round(self.rate * len(words)))
        found, sizes = np.unique(words, return_counts=True)
        order = random.permutation(len(found))
        taken: list[int] = []
        count = 0
        for word in order:
            # The next may be shorter. One word there must be, however long.
            if taken and count + sizes[word] > wanted:
                continue
            taken.append(found[word])
            count += sizes[word]
            if count >= wanted:
                break
        return np.isin(words, taken)

    @cached_property
    def _begins_word(self) -> np.ndarray:
        """bool (vocabulary,)."""
        begins = next(
            (test for kind, test in _BEGINS_WORD if isinstance(self.tokenizer, kind)), None
        )
        if begins is None:
            raise ValueError(
                f"{type(self.tokenizer).__name__} does not tell where words begin: whole words "
                "cannot be masked. Pass whole_words=False."
            )
        vocabulary = self.tokenizer.vocabulary
        if not isinstance(vocabulary, dict):
            vocabulary = {token: number for number, token in enumerate(vocabulary)}
        table = np.ones(self.tokenizer.vocabulary_size, bool)
        for token, number in vocabulary.items():
            table[number] = begins(token)
        return table


class MaskedBatches(keras.utils.PyDataset):
    """Batches for a masked language model: other tokens are masked in every epoch.

    Args:
        batches: of `(inputs, token ids, weights)`, whose weights are 0 where nothing may be masked.
        masking: what is masked.
        renew: whether each epoch has other masks; otherwise they are the same for equal texts in
            equal order, so that losses can be compared.
    """

    def __init__(self, batches: keras.utils.PyDataset, masking: Masking, renew: bool) -> None:
        super().__init__()
        self._batches, self._masking, self._renew = batches, masking, renew
        self._seed = int(np.random.randint(2**31)) if renew else 0
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Any, np.ndarray, np.ndarray]:
        inputs, targets, weights = self._batches[number]
        # Workers ask for batches in any order.
        random = np.random.default_rng([self._seed, self._epoch, number])
        seen, chosen = self._masking.apply(inputs["token_ids"], weights > 0, random)
        return {**inputs, "token_ids": seen}, targets, weights * chosen

    def on_epoch_end(self) -> None:
        self._batches.on_epoch_end()
        self._epoch += self._renew
