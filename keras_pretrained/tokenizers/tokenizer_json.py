"""`tokenizer.json`, the one file of Hugging Face's tokenizers, as far as it is byte-level BPE."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from keras_pretrained.checkpoints.json_text import parse_json_object
from keras_pretrained.tokenizers.byte_level_vocabulary import ByteLevelVocabulary, make_vocabulary
from keras_pretrained.tokenizers.files import read_bytes
from keras_pretrained.tokenizers.special_tokens import SpecialTokens, special_tokens

# Model options that would change the ids, and the values that mean: not used.
_UNUSED = {
    "dropout": (None, 0, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}


class Contents(NamedTuple):
    """What the file tells."""

    vocabulary: ByteLevelVocabulary
    special: SpecialTokens
    add_prefix_space: bool


def read_tokenizer_json(path: str | os.PathLike[str]) -> Contents:
    """Reads the file; whatever would change the ids and is not byte-level BPE is an error.

    Raises:
        FileNotFoundError, TypeError, ValueError: the message names the file and the entry.
    """
    what = "Tokenizer file"
    data = read_bytes(path, what, "the tokenizer.json of the checkpoint")
    name = f"{what} {str(Path(path))!r}"
    root = parse_json_object(data, name)
    model = _entry(root, "model", name)
    if model.get("type", "BPE") != "BPE":
        _refuse(name, "model.type", model.get("type"), "'BPE'")
    for option, unused in _UNUSED.items():
        if model.get(option) not in unused:
            _refuse(name, f"model.{option}", model[option], repr(unused[0]))
    if root.get("normalizer") is not None:
        _refuse(name, "normalizer", root["normalizer"], "null")
    splitter = _entry(root, "pre_tokenizer", name)
    if splitter.get("type") != "ByteLevel" or splitter.get("use_regex", True) is not True:
        _refuse(name, "pre_tokenizer", splitter, "ByteLevel with its own regular expression")
    ids: dict[Any, Any] = dict(_entry(model, "vocab", name))
    added = root.get("added_tokens") or []
    for token in added if isinstance(added, list) else [added]:
        if not isinstance(token, dict) or token.get("special") is not True:
            _refuse(name, "added_tokens", token, "special tokens only")
        ids[token.get("content")] = token.get("id")
    merges = model.get("merges")
    if not isinstance(merges, list):
        _refuse(name, "model.merges", merges, "a list")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    vocabulary = make_vocabulary(ids, pairs, name, lambda number: f"{name}, model.merges[{number}]")
    special = special_tokens(None, vocabulary.ids)
    rows = _rows(root.get("post_processor"), name)
    if rows != (special.before, special.between, special.behind):
        special = replace(special, before=rows[0], between=rows[1], behind=rows[2])
        special = special_tokens(special, vocabulary.ids)
    return Contents(vocabulary, special, splitter.get("add_prefix_space") is True)


def _rows(processor: Any, name: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The special tokens before the first text, between two, and behind the last one."""
    if processor is None or _kind(processor) == "ByteLevel":
        return (), (), ()
    if _kind(processor) == "RobertaProcessing":
        start, end = processor.get("cls"), processor.get("sep")
        if _is_token(start) and _is_token(end):
            return (start[0],), (end[0], end[0]), (end[0],)
    elif _kind(processor) == "TemplateProcessing":
        single = _around(processor.get("single"), ["A"])
        pair = _around(processor.get("pair"), ["A", "B"])
        if single and pair and single == [pair[0], pair[2]]:
            return pair[0], pair[1], pair[2]
    _refuse(name, "post_processor", processor, "special tokens around texts")


def _around(template: Any, sides: list[str]) -> list[tuple[str, ...]] | None:
    """The special tokens before, between and behind the sides; None if it is another thing."""
    runs: list[list[str]] = [[]]
    for part in template if isinstance(template, list) else []:
        match part:
            case {"SpecialToken": {"id": str(token)}}:
                runs[-1].append(token)
            case {"Sequence": {"id": side}} if sides[len(runs) - 1 :][:1] == [side]:
                runs.append([])
            case _:
                return None
    return [tuple(run) for run in runs] if len(runs) == len(sides) + 1 else None


def _kind(processor: Any) -> Any:
    return processor.get("type") if isinstance(processor, dict) else None


def _is_token(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and isinstance(value[0], str)


def _entry(parent: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        _refuse(name, key, value, "an object")
    return value


def _refuse(name: str, entry: str, received: Any, expected: str) -> NoReturn:
    raise ValueError(
        f"{name} is no byte-level BPE that this tokenizer reproduces: {entry} must be "
        f"{expected}. Received: {str(received)[:80]}."
    )
