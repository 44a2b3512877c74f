"""The compiled normalisation inside a SentencePiece model: checked, never run here.

Its bytes are the length of a trie, the trie, and replacement strings that end with NUL. The trie
is a double array of darts-clone, as in `code_point_trie`, with another use of a value's unit: all
but the top bit is where the replacement begins. Programs follow the trie without looking where it
leads, so every step that a text could take must stay inside.
"""

from __future__ import annotations

import numpy as np

from keras_pretrained.checkpoints.damage import Malformed

_BLOCK = 256
_IS_VALUE, _HAS_VALUE, _SHIFTED = 0x80000000, 0x100, 0x200


def check_charsmap(charsmap: bytes) -> None:
    """Raises Malformed when following the trie could leave it or the replacements."""
    if not charsmap:
        return
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) <= 4 or size > len(charsmap) - 4 or not size or size % (4 * _BLOCK):
        raise Malformed(f"Its normalisation declares a trie of {size} bytes.")
    replacements = charsmap[4 + size :]
    if not replacements.endswith(b"\0"):
        raise Malformed("The replacements of its normalisation do not end.")
    try:
        replacements.decode()
    except UnicodeDecodeError:
        raise Malformed("The replacements of its normalisation are not UTF-8.") from None
    units = np.frombuffer(charsmap, "<u4", size // 4, 4).astype(np.int64)
    inner = np.flatnonzero((units & _IS_VALUE) == 0)
    offsets = (units[inner] >> 10) << ((units[inner] & _SHIFTED) >> 6)
    bases = inner ^ offsets
    # A child is the base with its lowest byte changed.
    if (bases | (_BLOCK - 1)).max(initial=0) >= units.size:
        raise Malformed("The trie of its normalisation leads out of itself.")
    values = units[bases[(units[inner] & _HAS_VALUE) != 0]]
    starts = values & (_IS_VALUE - 1)
    if starts.max(initial=0) >= len(replacements) or ((values & _IS_VALUE) == 0).any():
        raise Malformed("The trie of its normalisation points outside of the replacements.")
    stored = np.frombuffer(replacements, np.uint8)
    if ((stored[starts] & 0xC0) == 0x80).any():
        raise Malformed("A replacement of its normalisation begins inside a character.")
