"""The special tokens of families whose vocabulary does not tell: as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from keras_pretrained.tokenizers.packing import Template


@dataclass(frozen=True)
class SpecialTokens:
    """Which tokens are special, and where they stand: `before a between b behind`.

    Attributes:
        start, end: what the family marks a text's start and end with, whether or not its rows
            hold them. The end is where generation stops.
        pad: the token whose id fills rows up; None: the id 0 does, whatever token it is.
        unknown: the token for what the vocabulary lacks; None: that is an error.
        mask: the token that language models of the masked kind fill in.
        before, between, behind: the special tokens of a row, in order.
        has_segments: the family's networks take segment ids.
    """

    start: str | None = None
    end: str | None = None
    pad: str | None = None
    unknown: str | None = None
    mask: str | None = None
    before: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    has_segments: bool = False

    @property
    def all(self) -> frozenset[str]:
        """Every special token."""
        single = {self.start, self.end, self.pad, self.unknown, self.mask} - {None}
        return frozenset({*single, *self.before, *self.between, *self.behind})  # type: ignore[arg-type]

    def template(self, ids: Mapping[str, int]) -> Template:
        """The tokens of a row by their ids in a vocabulary that has them all."""
        before, between, behind = (
            tuple(ids[token] for token in tokens)
            for tokens in (self.before, self.between, self.behind)
        )
        pad = 0 if self.pad is None else ids[self.pad]
        return Template(before, between, behind, pad, self.has_segments)

    def config(self) -> dict[str, Any]:
        """Plain data, from which `special_tokens` makes an equal record."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


_END_OF_TEXT = "<|endoftext|>"
GPT2 = SpecialTokens(start=_END_OF_TEXT, end=_END_OF_TEXT, pad=_END_OF_TEXT)
ROBERTA = SpecialTokens(
    start="<s>",
    end="</s>",
    pad="<pad>",
    unknown="<unk>",
    mask="<mask>",
    before=("<s>",),
    between=("</s>", "</s>"),
    behind=("</s>",),
)
ALBERT = SpecialTokens(
    start="[CLS]",
    end="[SEP]",
    pad="<pad>",
    unknown="<unk>",
    mask="[MASK]",
    before=("[CLS]",),
    between=("[SEP]",),
    behind=("[SEP]",),
    has_segments=True,
)
FAMILIES = {"gpt2": GPT2, "roberta": ROBERTA, "albert": ALBERT}


def special_tokens(
    special: SpecialTokens | Mapping[str, Any] | str | None, vocabulary: Mapping[str, int]
) -> SpecialTokens:
    """The record that a user means.

    Args:
        special: a record, its `config()`, the name of a family, or None: the first family, out
            of RoBERTa and GPT-2, all of whose special tokens the vocabulary has; else none.
        vocabulary: token -> id.

    Raises:
        TypeError, ValueError: nothing of the kind, or tokens that the vocabulary does not have.
    """
    if special is None:
        families = (family for family in (ROBERTA, GPT2) if family.all <= vocabulary.keys())
        return next(families, SpecialTokens())
    if isinstance(special, str):
        if special not in FAMILIES:
            raise ValueError(
                f"special must be {', '.join(map(repr, FAMILIES))}, None or a SpecialTokens "
                f"record. Received: {special!r}."
            )
        special = FAMILIES[special]
    elif isinstance(special, Mapping):
        special = _from_config(special)
    elif not isinstance(special, SpecialTokens):
        raise TypeError(
            f"special must be {', '.join(map(repr, FAMILIES))}, None or a SpecialTokens record. "
            f"Received: {type(special).__name__}."
        )
    missing = sorted(special.all - vocabulary.keys())
    if missing:
        raise ValueError(
            f"The vocabulary of {len(vocabulary)} tokens has no {', '.join(missing)}, which "
            f"special={special} names. Pass the special tokens that belong to this vocabulary."
        )
    return special


class WithSpecialTokens:
    """Gives a tokenizer its special tokens; it sets `_asked_special` and has `_ids`."""

    _asked_special: SpecialTokens | Mapping[str, Any] | str | None

    @property
    def _ids(self) -> Mapping[str, int]:
        """Token -> id; ValueError if there is no vocabulary yet."""
        raise NotImplementedError

    def _has_vocabulary(self) -> bool:
        raise NotImplementedError

    @property
    def special(self) -> SpecialTokens:
        """Which tokens are special, and where they stand in a row."""
        return special_tokens(self._asked_special, self._ids)

    @property
    def pad_id(self) -> int:
        """The id that rows are filled up with; texts may hold it too (GPT-2)."""
        return self._template.pad

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids of all special tokens."""
        return frozenset(self._ids[token] for token in self.special.all)

    @property
    def _template(self) -> Template:
        return self.special.template(self._ids)

    def _special_config(self) -> Any:
        special = self.special if self._has_vocabulary() else self._asked_special
        return special.config() if isinstance(special, SpecialTokens) else special

    def _id_of(self, role: str, wanted: str = "") -> int:
        token = getattr(self.special, role)
        if token is None:
            what = f"no token {wanted!r} and " if wanted else ""
            raise ValueError(
                f"This vocabulary has {what}no special token for {role!r}. Its special tokens "
                f"are {self.special}."
            )
        return self._ids[token]


def _from_config(config: Mapping[str, Any]) -> SpecialTokens:
    known = {field.name for field in fields(SpecialTokens)}
    unknown = sorted(set(config) - known)
    if unknown:
        raise ValueError(
            f"special has no {', '.join(map(repr, unknown))}. Expected: {', '.join(sorted(known))}."
        )
    values: dict[str, Any] = {}
    for name, value in config.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return SpecialTokens(**values)
