"""`FastaiTokenizer`: the words of ULMFiT's networks, by the rules of fast.ai's three versions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from keras_pretrained.tokenizers.fastai_rules import RULES, FastaiRules, rules_of
from keras_pretrained.tokenizers.fastai_vocabulary import (
    ASSET_FILE,
    PICKLE_FILE,
    asset_bytes,
    checked_words,
    most_frequent,
    pickled_bytes,
    read_asset,
    read_pickled,
)
from keras_pretrained.tokenizers.lazy import spacy
from keras_pretrained.tokenizers.listed import ListedTokenizer
from keras_pretrained.tokenizers.packing import PadSide, PadTo, Template
from keras_pretrained.tokenizers.python_ops import Rows, in_python, rows_of
from keras_pretrained.tokenizers.tokenizer import Operations
from keras_pretrained.tokenizers.whitespace import NO_LIMIT

Splitter = str | Callable[[str], Sequence[str]]


class FastaiTokenizer(ListedTokenizer):
    """Texts to ids of words, by the rules of fast.ai's programs, also inside `tf.data`.

    The rules mark capitals and repetitions (`xxmaj`, `xxup`, `xxrep`, `xxwrep`), repair HTML, and
    put `xxbos` before each text. Between them a splitter cuts the text into words: in fast.ai's
    programs this is spaCy's English tokenizer, an outside library.

    Args:
        vocabulary: the words in the order of their ids, padding the second. None if `load_assets`
            brings it later.
        rules: `"0.7"` (the paper's), `"1"` or `"2"`. None: those of the version whose vocabularies
            begin like this one.
        splitter: `"spacy"`; `"whitespace"` for texts whose words stand apart already; or a function
            from a str to a list of str. A function is not saved with a model: set `splitter` again
            after loading.
        max_length: the most words in a row; longer texts are cut. None: no limit.
        pad_to, pad_side: see `Tokenizer`.

    Example:
        >>> tokenizer = FastaiTokenizer.from_file("itos_wt103.pkl")
        >>> tokenizer.tokenize("A GOOD film!!!!")
        ['xxbos', 'a', 'xxup', 'good', 'film', 'xxrep', '4', '!']

    Reference: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text
    Classification", and fast.ai's programs.
    """

    runs_in_python = True

    def __init__(
        self,
        vocabulary: Sequence[str] | None,
        rules: str | None = None,
        splitter: Splitter = "spacy",
        max_length: int | None = None,
        pad_to: PadTo = None,
        pad_side: PadSide = "right",
    ) -> None:
        limit = NO_LIMIT if max_length is None else max_length
        super().__init__(limit, pad_to, pad_side, Template((), (), (), 1, False))
        if rules is not None and rules not in RULES:
            raise ValueError(
                f"rules must be None or one of {', '.join(map(repr, RULES))}. Received: {rules!r}"
            )
        self._asked_rules = rules
        self._splitter = _checked(splitter)
        self._words_or_none: list[str] | None = None
        self._ids_or_none: dict[str, int] = {}
        if vocabulary is not None:
            self._set(checked_words(vocabulary))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """A tokenizer from `itos_wt103.pkl`, or another pickled list of words.

        Args:
            path: the file. It is read as data: nothing in it is run.
            **options: of the class.

        Raises:
            FileNotFoundError: there is no such file.
            TypeError, ValueError: it is something else.
        """
        tokenizer = cls(None, **options)
        tokenizer._set(read_pickled(path))
        return tokenizer

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        rules: str = "2",
        max_words: int = 60_000,
        min_count: int = 3,
        **options: Any,
    ) -> Self:
        """A tokenizer with the vocabulary of texts, as fast.ai's programs make it.

        Args:
            texts: to count words in.
            rules: the version; that of a network whose vocabulary is to be changed.
            max_words: the most words, the version's signs included.
            min_count: how often a word must be there; fastai 1 and 2 have 3, the paper's scripts 2.
            **options: of the class.

        Raises:
            TypeError: one text in place of several.

        Example:
            >>> tokenizer = FastaiTokenizer.from_texts(texts, encoder.tokenizer.rules)
            >>> tuned = encoder.with_vocabulary(tokenizer.vocabulary)
        """
        if isinstance(texts, str):
            raise TypeError("texts must be several str. Received: one str.")
        tokenizer = cls(None, rules, **options)
        version = RULES[rules]
        split = _split_function(tokenizer.splitter, version)
        counts = Counter(word for text in texts for word in version.words(text, split))
        tokenizer._set(most_frequent(counts, version.first, max_words, min_count))
        return tokenizer

    @property
    def rules(self) -> str:
        """The version whose rules are used.

        Raises:
            ValueError: the vocabulary is of no version, and none was given.
        """
        found = self._asked_rules or rules_of(self._pieces)
        if found is None:
            raise ValueError(
                "The vocabulary begins like none of fast.ai's versions, with "
                f"{', '.join(map(repr, self._pieces[:9]))}. Pass rules='0.7', '1' or '2'."
            )
        return found

    @property
    def splitter(self) -> Splitter:
        """What cuts texts into words; may be set."""
        return self._splitter

    @splitter.setter
    def splitter(self, value: Splitter) -> None:
        with self._lock:
            self._splitter = _checked(value)
            self._forget_ops()

    def tokenize(self, text: str) -> list[str]:
        """The words and signs of one text, as they are before the vocabulary is asked."""
        if not isinstance(text, str):
            raise TypeError(f"text must be one str. Received: {type(text).__name__}.")
        ops: Any = self._ops
        return ops.words(text)

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = True) -> str | list[str]:
        """Joins words by spaces; what marks say of capitals and repetitions is done.

        Args:
            token_ids: ids of one row, or of a batch of rows (a list or an integer array).
            skip_special_tokens: leave out padding and the marks of begins, ends and fields.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        rules = RULES[self.rules]
        return self._decode(token_ids, lambda words: rules.text(words, not skip_special_tokens))

    @property
    def pad_id(self) -> int:
        """The id of padding."""
        return 1

    @property
    def unknown_id(self) -> int:
        """The id of words that the vocabulary lacks."""
        return 0

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""
        return {
            "rules": self._asked_rules,
            "splitter": self._splitter if isinstance(self._splitter, str) else "own",
            "max_length": None if self.max_length == NO_LIMIT else self.max_length,
            "pad_to": self.pad_to,
            "pad_side": self.pad_side,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes the words into the folder."""
        (Path(folder) / ASSET_FILE).write_bytes(asset_bytes(self._pieces))

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads the words from the folder."""
        self._set(read_asset(Path(folder) / ASSET_FILE))

    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""
        return {PICKLE_FILE: pickled_bytes(self._pieces)}

    def _set(self, words: list[str]) -> None:
        with self._lock:
            self._words_or_none = words
            self._ids_or_none = {word: index for index, word in enumerate(words)}
            self._forget_ops()

    @property
    def _pieces(self) -> Sequence[str]:
        if self._words_or_none is None:
            raise ValueError(
                "This FastaiTokenizer has no vocabulary yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {ASSET_FILE}."
            )
        return self._words_or_none

    @property
    def _ids(self) -> Mapping[str, int]:
        return self._ids_or_none

    @property
    def _template(self) -> Template:
        return Template((), (), (), self.pad_id, has_segments=False)

    def _make_ops(self) -> Operations:
        rules = RULES[self.rules]
        return _FastaiOps(self._ids, rules, _split_function(self._splitter, rules))

    def _has_vocabulary(self) -> bool:
        return self._words_or_none is not None


class _FastaiOps:
    """Texts to ids: eagerly, and in `tf.function` and `tf.data` by a call back into Python."""

    def __init__(
        self,
        ids: Mapping[str, int],
        rules: FastaiRules,
        split: Callable[[str], Sequence[str]],
    ) -> None:
        self._ids = ids
        self._rules = rules
        self._split = split

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        return in_python(self._ids_of_words if is_split else self._ids_of, strings)

    def words(self, text: str) -> list[str]:
        return self._rules.words(text, self._split)

    def _ids_of(self, texts: list[str]) -> Rows:
        return rows_of([[self._ids.get(word, 0) for word in self.words(text)] for text in texts])

    def _ids_of_words(self, words: list[str]) -> Rows:
        # Words that were split already are words of the vocabulary, or signs.
        return rows_of([[self._ids.get(word, 0)] if word else [] for word in words])


def _checked(splitter: Any) -> Splitter:
    if callable(splitter) or splitter in ("spacy", "whitespace", "own"):
        return splitter
    raise ValueError(
        "splitter must be 'spacy', 'whitespace' or a function from a str to a list of str. "
        f"Received: {splitter!r}"
    )


def _split_function(splitter: Splitter, rules: FastaiRules) -> Callable[[str], Sequence[str]]:
    if not isinstance(splitter, str):
        return splitter
    if splitter == "whitespace":
        return str.split
    if splitter == "own":
        raise ValueError(
            "This tokenizer was saved with a function of its own as splitter, and functions are "
            "not saved. Set it again: `layer.tokenizer.splitter = function`."
        )
    tokenizer = spacy().blank("en").tokenizer
    for sign in rules.whole:
        tokenizer.add_special_case(sign, [{"ORTH": sign}])
    return lambda text: [token.text for token in tokenizer(text)]
