"""A byte-level BPE vocabulary: tokens with ids, the order of merges, and what is wrong with both.

Bytes are written as characters (Radford et al. 2019): the printable ones of Latin-1 as
themselves, the other 68 as U+0100 and up, so that a space is Ġ. Tokens are strings of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Ids index tables, so that a table's size must be bounded: far above any network's.
MAX_IDS = 2**22
VERSION_LINE = "#version"


def _byte_characters() -> tuple[str, ...]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    later = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(later)) for byte in range(256))


BYTE_CHARACTERS = _byte_characters()
BYTE_OF = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


@dataclass(frozen=True)
class ByteLevelVocabulary:
    """Token -> id, and the pairs to merge, the first one first."""

    ids: dict[str, int]
    merges: tuple[tuple[str, str], ...]

    @cached_property
    def tokens(self) -> dict[int, str]:
        """Id -> token."""
        return {index: token for token, index in self.ids.items()}

    @cached_property
    def size(self) -> int:
        """The largest id, and one: ids may have gaps."""
        return max(self.ids.values()) + 1

    def token_bytes(self, token: str) -> bytes:
        """The bytes that a token stands for."""
        if all(character in BYTE_OF for character in token):
            return bytes(BYTE_OF[character] for character in token)
        # An added token, written in plain text.
        return token.encode()

    def json_bytes(self) -> bytes:
        """The ids as the file `vocab.json`."""
        ordered = dict(sorted(self.ids.items(), key=lambda item: item[1]))
        return json.dumps(ordered, ensure_ascii=False).encode()

    def merges_bytes(self) -> bytes:
        """The merges as the file `merges.txt`."""
        lines = [f"{VERSION_LINE}: 0.2", *(f"{first} {second}" for first, second in self.merges)]
        return "".join(f"{line}\n" for line in lines).encode()


def make_vocabulary(
    ids: Mapping[str, int],
    merges: Iterable[Sequence[str]],
    name: str = "The vocabulary",
    merge_place: Callable[[int], str] = "merges[{}]".format,
) -> ByteLevelVocabulary:
    """Checks both parts.

    Args:
        ids: token -> id; ids are distinct and may have gaps.
        merges: pairs of tokens, the one to merge first at the front.
        name, merge_place: what the vocabulary is, and where merge `i` stands, for errors.

    Raises:
        TypeError, ValueError: something else; the message names the entry.
    """
    if not ids:
        raise ValueError(f"{name} is empty. Expected token -> id.")
    seen: dict[int, str] = {}
    for token, index in ids.items():
        _check_token(token, index, name)
        if index in seen:
            raise ValueError(
                f"{name} gives the id {index} to {seen[index]!r} and to {token!r}. Ids must be "
                "distinct; get the file again."
            )
        seen[index] = token
    pairs = []
    for number, merge in enumerate(merges):
        if not _is_pair(merge):
            raise ValueError(f"{merge_place(number)} {_what_is_wrong(merge)}")
        pairs.append((merge[0], merge[1]))
    return ByteLevelVocabulary(dict(ids), tuple(pairs))


def _check_token(token: Any, index: Any, name: str) -> None:
    if not isinstance(token, str):
        raise TypeError(f"{name} has a token that is no str: {token!r} ({type(token).__name__}).")
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(
            f"{name} gives {token[:40]!r} the id {index!r} ({type(index).__name__}). "
            "Expected an int."
        )
    if not 0 <= index < MAX_IDS:
        raise ValueError(
            f"{name} gives {token[:40]!r} the id {index}. Expected 0 to {MAX_IDS - 1}."
        )
    if any("\ud800" <= character <= "\udfff" for character in token):
        raise ValueError(f"{name} has a token with half a surrogate pair: {token[:40]!r}.")


def _is_pair(merge: Any) -> bool:
    return (
        isinstance(merge, list | tuple)
        and len(merge) == 2
        and all(isinstance(part, str) and part and BYTE_OF.keys() >= set(part) for part in merge)
    )


def _what_is_wrong(merge: Any) -> str:
    received = f"Received: {str(merge)[:60]!r}."
    text = "".join(map(str, merge)) if isinstance(merge, list | tuple) else ""
    foreign = [character for character in text if character not in BYTE_OF and character != " "]
    if foreign:
        return (
            f"has the character {foreign[0]!r}, which stands for no byte: these are not the "
            f"merges of a byte-level BPE. {received}"
        )
    return f"is not a pair of tokens with one space between them. {received}"
