"""What fast.ai's programs do to a text before and after it is split into words, by version.

Reference programs: `create_toks.py` of ULMFiT's scripts and `fastai.text.Tokenizer` 0.7;
`fastai.text.transform` 1.0; `fastai.text.core` 2. Their rules differ in what they count as a
repetition, in where capitals are looked for, and in the signs that they put into the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Before = Callable[[str], str]
After = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class FastaiRules:
    """One version's rules.

    Attributes:
        begin: what stands before every text.
        before: the rules for the text, in order.
        after: those for the words.
        whole: signs that the splitter must leave whole.
        first: what vocabularies begin with: the signs of a word that they lack, and of padding.
        structure: signs that are no part of a text: padding, begins, ends, fields.
        marks: sign -> what it says of the words behind it: `"capital"` (the next one begins with
            one), `"capitals"`, `"signs"` (a number, and a sign that is repeated), `"words"`.
    """

    begin: str
    before: tuple[Before, ...]
    after: tuple[After, ...]
    whole: tuple[str, ...]
    first: tuple[str, ...]
    structure: frozenset[str]
    marks: Mapping[str, str] = field(default_factory=dict)

    def words(self, text: str, split: Callable[[str], Sequence[str]]) -> list[str]:
        """The words and signs of a text."""
        text = self.begin + text
        for change in self.before:
            text = change(text)
        words = list(split(text))
        for edit in self.after:
            words = edit(words)
        return words

    def text(self, words: Sequence[str], keep_structure: bool = False) -> str:
        """Words and signs as a text, with a space between any two words."""
        found: list[str] = []
        waiting = list(words)[::-1]
        while waiting:
            word = waiting.pop()
            mark = self.marks.get(word)
            if mark is None:
                if keep_structure or word not in self.structure:
                    found.append(word)
            elif mark in ("capital", "capitals"):
                if waiting:
                    word = waiting.pop()
                    found.append(
                        word.upper() if mark == "capitals" else word[:1].upper() + word[1:].lower()
                    )
            elif len(waiting) > 1 and waiting[-1].isdecimal() and len(waiting[-1]) < 5:
                count, word = int(waiting.pop()), waiting.pop()
                found += [word * count] if mark == "signs" else [word] * count
        return " ".join(found)


def _replacing(pairs: Sequence[tuple[str, str]], one_space: bool) -> Before:
    """Repairs what remains of HTML and of WikiText's marks."""

    def change(text: str) -> str:
        for old, new in pairs:
            text = text.replace(old, new)
        text = html.unescape(text)
        return _SPACES.sub(" ", text) if one_space else text

    return change


def _repairs(unknown: str) -> list[tuple[str, str]]:
    return [
        ("#39;", "'"),
        ("amp;", "&"),
        ("#146;", "'"),
        ("nbsp;", " "),
        ("#36;", "$"),
        ("\\n", "\n"),
        ("quot;", "'"),
        ("<br />", "\n"),
        ('\\"', '"'),
        ("<unk>", unknown),
        (" @.@ ", "."),
        (" @-@ ", "-"),
    ]


def _counting_signs(mark: str, more: int) -> Before:
    """Writes `mark 4 a` for `aaaa`, from one sign and `more` repetitions of it on."""
    pattern = re.compile(rf"(\S)\1{{{more},}}")
    return lambda text: pattern.sub(lambda m: f" {mark} {len(m[0])} {m[1]} ", text)


def _counting_words(mark: str) -> Before:
    """Writes `mark 5 no ` for a word with what follows it, five times."""
    pattern = re.compile(r"(\b\w+\W+)\1{3,}")

    def change(text: str) -> str:
        def counted(m: re.Match[str]) -> str:
            return f" {mark} {len(m[0][len(m[1]) :].split()) + 1} {m[1]} "

        return pattern.sub(counted, text)

    return change


_SPACED_WORDS = re.compile(r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)")


def _count_spaced_words(text: str) -> str:
    def counted(m: re.Match[str]) -> str:
        return f" xxwrep {len(m[2].split()) + 2} {m[1]} {m[3]}"

    return _SPACED_WORDS.sub(counted, text)


def _apart(signs: str) -> Before:
    """Puts spaces around signs."""
    pattern = re.compile(f"([{signs}])")
    return lambda text: pattern.sub(r" \1 ", text)


_SPACES = re.compile(" {2,}")


def _single_spaces(text: str) -> str:
    return _SPACES.sub(" ", text)


# --- capitals ------------------------------------------------------------------------------------

_RUNS = re.compile(r"\w+|\W+")


def _lower_old(text: str) -> str:
    """Version 0.7: marks words of three and more capitals."""
    runs = (
        f" t_up {run.lower()}" if run.isupper() and len(run) > 2 else run.lower()
        for run in _RUNS.findall(text)
    )
    return "".join(runs)


def _mark_capitals(words: list[str]) -> list[str]:
    """Version 1, first: words of capitals alone."""
    found: list[str] = []
    for word in words:
        found += ["xxup", word.lower()] if word.isupper() and len(word) > 1 else [word]
    return found


def _mark_capital(words: list[str]) -> list[str]:
    """Version 1, then: words that begin with a capital."""
    found: list[str] = []
    for word in filter(None, words):
        if word[0].isupper() and word[1:].islower():
            found.append("xxmaj")
        found.append(word.lower())
    return found


def _marking(mark: str, pattern: str) -> Before:
    """Version 2: marks and lowers runs of the text between white space."""
    compiled = re.compile(rf"(\s|^)({pattern})(?=\s|$)")

    def marked(m: re.Match[str]) -> str:
        return f"{m[1]}{mark + ' ' if len(m[2]) > 1 else ''}{m[2].lower()}"

    return lambda text: compiled.sub(marked, text)


def _lower_and_begin(text: str) -> str:
    return f"xxbos {text.lower().strip()}"


# --- versions ------------------------------------------------------------------------------------

_BREAK = re.compile(r"<\s*br\s*/?>", re.IGNORECASE)

SIGNS_1: tuple[str, ...] = (
    "xxunk",
    "xxpad",
    "xxbos",
    "xxeos",
    "xxfld",
    "xxmaj",
    "xxup",
    "xxrep",
    "xxwrep",
)
SIGNS_2: tuple[str, ...] = (
    "xxunk",
    "xxpad",
    "xxbos",
    "xxeos",
    "xxfld",
    "xxrep",
    "xxwrep",
    "xxup",
    "xxmaj",
)
_STRUCTURE = frozenset({"xxpad", "xxbos", "xxeos", "xxfld", "xxfake"})
_MARKS = {"xxmaj": "capital", "xxup": "capitals", "xxrep": "signs", "xxwrep": "words"}

RULES: Mapping[str, FastaiRules] = {
    "0.7": FastaiRules(
        begin="\nxbos xfld 1 ",
        before=(
            _replacing([*_repairs("u_n"), ("\\", " \\ ")], one_space=True),
            _counting_signs("tk_rep", more=3),
            _counting_words("tk_wrep"),
            _lower_old,
            _apart("/#"),
            _single_spaces,
            lambda text: _BREAK.sub("\n", text),
        ),
        after=(),
        whole=("<eos>", "<bos>", "<unk>"),
        first=("_unk_", "_pad_"),
        structure=frozenset({"_pad_", "xbos", "xfld"}),
        marks={"t_up": "capitals", "tk_rep": "signs", "tk_wrep": "words"},
    ),
    "1": FastaiRules(
        begin="xxbos ",
        before=(
            _replacing([*_repairs("xxunk"), (" @,@ ", ","), ("\\", " \\ ")], one_space=True),
            _counting_signs("xxrep", more=3),
            _counting_words("xxwrep"),
            _apart("/#\n"),
            _single_spaces,
        ),
        after=(_mark_capitals, _mark_capital),
        whole=SIGNS_1,
        first=SIGNS_1,
        structure=_STRUCTURE,
        marks=_MARKS,
    ),
    "2": FastaiRules(
        begin="",
        before=(
            _replacing([*_repairs("xxunk"), ("...", " …")], one_space=False),
            _counting_signs("xxrep", more=2),
            _count_spaced_words,
            _apart(r"/#\\"),
            _single_spaces,
            _marking("xxup", r"[A-Z]+[^a-z\s]*"),
            _marking("xxmaj", r"[A-Z][^A-Z\s]*"),
            _lower_and_begin,
        ),
        after=(lambda words: [word.replace(" ", "▁") for word in words],),
        whole=SIGNS_2,
        first=SIGNS_2,
        structure=_STRUCTURE,
        marks=_MARKS,
    ),
}


def rules_of(vocabulary: Sequence[str]) -> str | None:
    """The version whose vocabularies begin like this one, or None."""
    for version, rules in RULES.items():
        if tuple(vocabulary[: len(rules.first)]) == rules.first:
            return version
    return None
