"""Looking words up in a table of word vectors: their vectors, and which words are alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.checkpoints.word_vectors import WordVectors
from keras_pretrained.layers.blocks.word_table import WordTable
from keras_pretrained.layers.words.word_similarity import analogy_query, nearest, unit
from keras_pretrained.layers.words.word_vector_source import SPECIAL_ROWS, WordReport


class WordLookups:
    """What a layer of word vectors answers outside of models; mixed into `WordEmbedding`."""

    name: str
    tokenizer: Any
    embedding: WordTable
    load_report: WordReport | None
    _file: WordVectors | None

    @property
    def vocabulary(self) -> list[str]:
        """The word of each row; the first two are `""` and `"[UNK]"`."""
        return self.tokenizer.vocabulary

    @property
    def missing_words(self) -> tuple[str, ...]:
        """The words of the vocabulary that the file had no vector for."""
        return self.load_report.missing if self.load_report else ()

    def vectors(self, words: Iterable[str]) -> np.ndarray:
        """The vectors of words, also of such that the vocabulary lacks.

        Those of the vocabulary come from the table, as it is trained now. All others come from
        the file, if the layer was made from one in this process (a fastText `.bin` makes them of
        their parts); where it has none, they get the row of unknown words.

        Returns:
            float32 (words, width).
        """
        if isinstance(words, str):
            raise TypeError(f"`vectors` takes a list of words. Received: the str {words!r}")
        asked = [word.lower() for word in words] if self.tokenizer.lowercase else [*words]
        ids = np.array([self.tokenizer.token_to_id(word) for word in asked], np.int64)
        rows = np.array(self.table()[ids])
        unseen = [word for word, row in zip(asked, ids, strict=True) if row < SPECIAL_ROWS]
        if unseen and self._file is not None:
            table = self._file.find(unseen)
            found = dict(zip(table.words, table.vectors, strict=True))
            for place, word in enumerate(asked):
                if word in found and ids[place] < SPECIAL_ROWS:
                    rows[place] = found[word]
        return rows

    def similarity(self, first: str, second: str) -> float:
        """The cosine between the vectors of two words."""
        one, other = unit(np.stack([self._known(first), self._known(second)]))
        return float(one @ other)

    def most_similar(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words of the vocabulary whose vectors have the largest cosines with a word's.

        Raises:
            ValueError: the word has no vector.
        """
        return self._nearest(self._known(word), count, [word])

    def analogy(
        self, first: str, second: str, third: str, count: int = 1
    ) -> list[tuple[str, float]]:
        """The words that are to the third what the second is to the first.

        These are the nearest to `second - first + third`, each of length 1; the three themselves
        do not count (Mikolov et al. 2013). `analogy("man", "king", "woman")` asks for the queen.

        Raises:
            ValueError: a word has no vector.
        """
        words = [first, second, third]
        return self._nearest(analogy_query([self._known(word) for word in words]), count, words)

    def _nearest(
        self, query: np.ndarray, count: int, excluded: Sequence[str]
    ) -> list[tuple[str, float]]:
        rows = {self.tokenizer.token_to_id(self._looked_up(word)) for word in excluded}
        found = nearest(self.table(), query, count, rows | set(range(SPECIAL_ROWS)))
        return [(self.tokenizer.id_to_token(row), cosine) for row, cosine in found]

    def _known(self, word: str) -> np.ndarray:
        """The vector of a word that has one."""
        name = self._looked_up(word)
        if self.tokenizer.token_to_id(name) >= SPECIAL_ROWS:
            return self.vectors([name])[0]
        found = self._file.find([name]).vectors if self._file is not None else None
        if found is None or not len(found):
            raise ValueError(
                f"The word {word!r} has no vector: it is not among the "
                f"{self.embedding.rows - SPECIAL_ROWS:,} words of layer "
                f"{self.name!r}, and no file of this layer makes one for it."
            )
        return found[0]

    def _looked_up(self, word: str) -> str:
        return word.lower() if self.tokenizer.lowercase else word

    def table(self) -> np.ndarray:
        """The rows as float32; not to be written to."""
        return np.asarray(keras.ops.convert_to_numpy(self.embedding.vectors), np.float32)
