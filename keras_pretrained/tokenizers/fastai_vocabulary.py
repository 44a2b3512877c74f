"""fast.ai's vocabularies: `itos_wt103.pkl`, a pickled list of words, read as data."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Sequence

from keras_pretrained.checkpoints.restricted_pickle import load_pickle
from keras_pretrained.tokenizers.files import read_bytes

PICKLE_FILE = "itos_wt103.pkl"
ASSET_FILE = "vocabulary.json"
_EXPECTED = "fast.ai's itos pickle, a list of words"


def read_pickled(path: str | os.PathLike[str]) -> list[str]:
    """The words of a pickle in the order of their ids; nothing in it is run.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the pickle is damaged or hostile.
        TypeError, ValueError: it holds something else.
    """
    data = read_bytes(path, "Vocabulary file", _EXPECTED)
    found, _ = load_pickle(data, repr(str(path)))
    return checked_words(found, repr(str(path)))


def read_asset(path: str | os.PathLike[str]) -> list[str]:
    """The words of a file that `asset_bytes` made."""
    data = read_bytes(path, "Vocabulary file", "a JSON list of words")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
    return checked_words(found, repr(str(path)))


def asset_bytes(words: Sequence[str]) -> bytes:
    """Words as JSON: some of fast.ai's are line feeds."""
    return json.dumps(list(words), ensure_ascii=True, indent=0).encode()


def most_frequent(counts: Counter[str], signs: Sequence[str], size: int, least: int) -> list[str]:
    """A vocabulary: the signs, then the words by their frequency, of equal ones the first first.

    Args:
        counts: word -> how often it stands in the texts.
        signs: a version's own, in the order of their ids.
        size: the most words, signs included.
        least: how often a word must be there.
    """
    words = [word for word, count in counts.most_common(size) if count >= least]
    return [*signs, *(word for word in words if word not in signs)][: max(size, len(signs))]


def pickled_bytes(words: Sequence[str]) -> bytes:
    """Words as fast.ai's programs read them."""
    return pickle.dumps(list(words), protocol=2)


def checked_words(vocabulary: object, name: str = "vocabulary") -> list[str]:
    """A vocabulary as a list.

    Raises:
        TypeError: it is no list of str; the message names the element.
        ValueError: a word is there twice that is not of fast.ai's filling.
    """
    if isinstance(vocabulary, str) or not isinstance(vocabulary, Sequence):
        raise TypeError(f"{name} must be a list of words. Received: {type(vocabulary).__name__}.")
    words = list(vocabulary)
    for index, word in enumerate(words):
        if type(word) is not str:
            raise TypeError(
                f"{name}: word {index} must be a str. Received: {str(word)[:60]!r} "
                f"({type(word).__name__})."
            )
    twice = [word for word, count in Counter(words).items() if count > 1 and word != "xxfake"]
    if twice:
        raise ValueError(f"{name} holds {twice[0][:60]!r} twice, and each word has one id.")
    return words
