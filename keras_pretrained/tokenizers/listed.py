"""What tokenizers share whose vocabulary is a list: the id of a piece is its place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_pretrained.tokenizers.tokenizer import Tokenizer, id_rows


class ListedTokenizer(Tokenizer):
    """A tokenizer whose ids count the pieces of a list."""

    @property
    @abstractmethod
    def unknown_id(self) -> int:
        """The id of text that no piece covers."""

    @property
    @abstractmethod
    def _pieces(self) -> Sequence[str]:
        """The pieces in the order of their ids; ValueError if there is no vocabulary yet."""

    @property
    @abstractmethod
    def _ids(self) -> Mapping[str, int]:
        """Piece -> id."""

    def token_to_id(self, token: str) -> int:
        """The id of a piece, as it stands in the vocabulary; `unknown_id` if it does not."""
        return self._ids.get(token, self.unknown_id)

    def id_to_token(self, token_id: int) -> str:
        """The piece of an id.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        if not 0 <= int(token_id) < self.vocabulary_size:
            raise ValueError(
                f"Token ids are 0 to {self.vocabulary_size - 1} here. Received: {token_id}."
            )
        return self._pieces[int(token_id)]

    @property
    def vocabulary(self) -> list[str]:
        """The pieces in the order of their ids."""
        return list(self._pieces)

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return len(self._pieces)

    def _decode(self, token_ids: Any, join: Callable[[list[str]], str]) -> str | list[str]:
        """Rows of ids as texts; `join` makes one row of pieces a text."""
        rows, is_batch = id_rows(token_ids)
        texts = [join([self.id_to_token(index) for index in row]) for row in rows]
        return texts if is_batch else texts[0]
