"""How BERT's basic tokenization treats each Unicode code point, as one table.

The reference is the `BertNormalizer` and `BertPreTokenizer` of Hugging Face tokenizers: clean
the text, put spaces around Chinese characters, decompose and drop accents, lower-case, split at
spaces and punctuation. Every step but one looks at a single code point, so all of them together
are a mapping code point -> string. (The one: canonical decomposition also sorts neighbouring
marks, and these are dropped with the accents but for a few; docs/tokenizers.md counts them.)
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

from keras_pretrained.tokenizers import unicode_tables

# Outside these ranges no code point is mapped but those that the tables name.
_ALPHABETS = ((0x0, 0x3400), (0xA000, 0xD7A4), (0xF900, 0x1F000), (0x2F800, 0x2FA20))

_SURROGATES = "D800-DFFF"

# Private-use characters are dropped from every text, so after normalisation they are free to
# stand for something else: U+E000-F8FF for pieces that cannot match, planes 15 and 16 for
# characters that FastWordpieceTokenizer would split at although BERT does not.
_STAND_INS = tuple(range(0xF0000, 0xFFFFE)) + tuple(range(0x100000, 0x10FFFD))
UNKNOWN_CHARACTER = "\U0010fffd"
_UNMATCHABLE, _UNMATCHABLE_COUNT = 0xE000, 0x1900


@functools.cache
def code_points(ranges: str) -> frozenset[int]:
    """The members of a table of `unicode_tables`: hexadecimal ranges separated by spaces."""
    found: set[int] = set()
    for part in ranges.split():
        first, _, last = part.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(found)


@functools.cache
def _later_capitals() -> dict[int, str]:
    pairs = (pair.split(":") for pair in unicode_tables.LATER_CAPITALS.split())
    return {int(capital, 16): chr(int(small, 16)) for capital, small in pairs}


@dataclass(frozen=True)
class BertNormalizer:
    """The table of one choice of options.

    Attributes:
        lowercase: map capitals to small letters, one code point at a time.
        strip_accents: decompose (NFD) and drop the marks of category Mn.
        split_chinese: make every Chinese character a word of its own.
    """

    lowercase: bool
    strip_accents: bool
    split_chinese: bool

    def table(self) -> dict[int, str]:
        """Code point -> its replacement, for every code point that changes.

        Afterwards a text is words between spaces, where punctuation stands alone. (Chinese
        characters stay unspaced: FastWordpieceTokenizer splits at them itself.)
        """
        dropped = code_points(unicode_tables.DROPPED)
        spaces = code_points(unicode_tables.SPACES)
        spelled = {c: f" {chr(c)} " for c in code_points(unicode_tables.PUNCTUATION)}
        spelled |= self.stand_ins()
        candidates = {c for first, end in _ALPHABETS for c in range(first, end)}
        candidates |= code_points(unicode_tables.MARKS) | set(spelled)
        candidates -= code_points(_SURROGATES) | dropped | spaces
        changed = dict.fromkeys(dropped, "") | dict.fromkeys(spaces, " ")
        for code_point in candidates:
            replacement = self._letters(code_point).translate(spelled)
            if replacement != chr(code_point):
                changed[code_point] = replacement
        return changed

    def stand_ins(self) -> dict[int, str]:
        """Characters within words that FastWordpieceTokenizer splits at -> their stand-ins."""
        inside = code_points(unicode_tables.SPLIT_BY_TENSORFLOW_ONLY)
        if not self.split_chinese:
            inside |= code_points(unicode_tables.CHINESE)
        return {c: chr(_STAND_INS[index]) for index, c in enumerate(sorted(inside))}

    def matchable(self, pieces: tuple[str, ...]) -> list[str]:
        """The pieces as they look after normalisation; those that no word can contain are hidden.

        Punctuation and split Chinese characters are whole words, so a longer piece with one
        inside never matches; nor does a piece with a space, or an earlier one of two equal lines
        (the later line wins in the originals).
        """
        alone = code_points(unicode_tables.PUNCTUATION)
        if self.split_chinese:
            alone |= code_points(unicode_tables.CHINESE)
        never = code_points(unicode_tables.DROPPED) | code_points(unicode_tables.SPACES)
        stand_ins = self.stand_ins()
        last_line = {piece: index for index, piece in enumerate(pieces)}
        result = []
        for index, piece in enumerate(pieces):
            body = piece.removeprefix("##")
            characters = {ord(character) for character in body}
            whole_word = len(piece) == 1
            if (
                body
                and last_line[piece] == index
                and not characters & never
                and (whole_word or not characters & alone)
            ):
                result.append(piece.translate(stand_ins))
            else:
                high, low = divmod(index, _UNMATCHABLE_COUNT)
                result.append(chr(_UNMATCHABLE + high) + chr(_UNMATCHABLE + low))
        return result

    def word_pattern(self, shortest: int) -> str:
        """A regular expression (RE2) for words of at least `shortest` characters."""
        outside = " "
        if self.split_chinese:
            for part in unicode_tables.CHINESE.split():
                first, _, last = part.partition("-")
                outside += f"\\x{{{first}}}-\\x{{{last}}}"
        return f"[^{outside}]{{{shortest},}}"

    def _letters(self, code_point: int) -> str:
        letters = chr(code_point)
        if self.strip_accents and (
            code_point <= 0xFFFF or code_point in code_points(unicode_tables.DECOMPOSED_BEYOND_BMP)
        ):
            letters = unicodedata.normalize("NFD", letters)
        if self.strip_accents:
            marks = code_points(unicode_tables.MARKS)
            letters = "".join([letter for letter in letters if ord(letter) not in marks])
        if self.lowercase:
            # One letter at a time: `str.lower` of a whole word would write a final sigma.
            later = _later_capitals()
            letters = "".join([later.get(ord(letter)) or letter.lower() for letter in letters])
        return letters
