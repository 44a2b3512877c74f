"""The files of byte-level BPE: OpenAI's, Hugging Face's and fairseq's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from keras_pretrained.checkpoints.json_text import parse_json_object
from keras_pretrained.presets.json_file import read_json
from keras_pretrained.tokenizers.byte_level_vocabulary import (
    VERSION_LINE,
    ByteLevelVocabulary,
    make_vocabulary,
)
from keras_pretrained.tokenizers.files import decode_utf8, read_bytes

VOCABULARY_FILE, MERGES_FILE, TOKENIZER_FILE = "vocab.json", "merges.txt", "tokenizer.json"
# (vocabulary, merges) as each author calls them.
_FILE_NAMES = ((VOCABULARY_FILE, MERGES_FILE), ("encoder.json", "vocab.bpe"))
_FAIRSEQ_DICTIONARY = "dict.txt"
_FAIRSEQ_START = ("<s>", "<pad>", "</s>", "<unk>")
_FAIRSEQ_END = "<mask>"

FilePath = str | os.PathLike[str]


class Files(NamedTuple):
    """The files in a folder, and what its tokenizer_config.json says."""

    vocabulary: Path
    merges: Path | None
    fairseq_dictionary: Path | None
    add_prefix_space: bool | None


def find_files(folder: FilePath) -> Files:
    """The files of a tokenizer in a checkpoint's folder.

    Raises:
        FileNotFoundError: it has none, or not all.
    """
    place = Path(folder)
    prefix = _configured_prefix(place)
    for vocabulary, merges in _FILE_NAMES:
        if (place / vocabulary).is_file() and (place / merges).is_file():
            dictionary = place / _FAIRSEQ_DICTIONARY
            found = dictionary if dictionary.is_file() else None
            return Files(place / vocabulary, place / merges, found, prefix)
    if (place / TOKENIZER_FILE).is_file():
        return Files(place / TOKENIZER_FILE, None, None, prefix)
    pairs = " or ".join(f"{vocabulary} with {merges}" for vocabulary, merges in _FILE_NAMES)
    raise FileNotFoundError(
        f"Folder {str(place)!r} has no tokenizer files. Expected {pairs} or {TOKENIZER_FILE}."
    )


def _configured_prefix(folder: Path) -> bool | None:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    value = read_json(path).get("add_prefix_space")
    return value if isinstance(value, bool) else None


def read_vocabulary_and_merges(
    vocabulary: FilePath, merges: FilePath, fairseq_dictionary: FilePath | None = None
) -> ByteLevelVocabulary:
    """Reads `vocab.json` with `merges.txt`, or `encoder.json` with `vocab.bpe`.

    Args:
        vocabulary: a JSON object, token -> id.
        merges: two tokens a line, the pair to merge first at the top.
        fairseq_dictionary: a `dict.txt`, which gives OpenAI's ids the ids of a network.

    Raises:
        FileNotFoundError, TypeError, ValueError: a file is missing or is something else; the
            message names it, and the entry.
    """
    expected = "the vocab.json or encoder.json of the checkpoint, token -> id"
    data = read_bytes(vocabulary, "Vocabulary file", expected)
    name = f"Vocabulary file {str(Path(vocabulary))!r}"
    ids: dict[str, Any] = parse_json_object(data, name)
    lines, merges_name = _lines(merges, "Merges file", "the merges.txt or vocab.bpe")
    skipped = int(bool(lines) and lines[0].startswith(VERSION_LINE))
    pairs = [line.split(" ") for line in lines[skipped:]]
    checked = make_vocabulary(
        ids, pairs, name, lambda number: f"{merges_name}, line {number + skipped + 1}"
    )
    if fairseq_dictionary is None:
        return checked
    renumbered = _renumbered(checked, fairseq_dictionary)
    return make_vocabulary(renumbered, checked.merges, f"Dictionary {fairseq_dictionary!r}")


def _lines(path: FilePath, what: str, expected: str) -> tuple[list[str], str]:
    name = f"{what} {str(Path(path))!r}"
    text = decode_utf8(read_bytes(path, what, f"{expected} of the checkpoint"), name, expected)
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines, name


def _renumbered(vocabulary: ByteLevelVocabulary, path: FilePath) -> Mapping[str, int]:
    """fairseq writes OpenAI's ids as decimal words, and numbers these in its own order."""
    ids = {token: index for index, token in enumerate(_FAIRSEQ_START)}
    lines, name = _lines(path, "fairseq's dictionary", "the dict.txt")
    for number, line in enumerate(lines, 1):
        word, _, count = line.rpartition(" ")
        if not word or not count.isdigit():
            raise ValueError(
                f"{name}, line {number} is not '<id> <count>'. Received: {line[:60]!r}."
            )
        token: str | None = word
        if word.isascii() and word.isdigit():
            token = vocabulary.tokens.get(int(word)) if len(word) < 10 else None
        elif not word.startswith("madeupword"):
            token = None
        if token is None:
            raise ValueError(
                f"{name}, line {number} names {word[:40]!r}, which is no id of the vocabulary. "
                "Pass the encoder.json that belongs to it."
            )
        if token in ids:
            raise ValueError(f"{name}, line {number} names {word[:40]!r} a second time.")
        ids[token] = len(ids)
    # The task that trained RoBERTa appends it.
    ids[_FAIRSEQ_END] = len(ids)
    return ids
