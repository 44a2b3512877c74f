"""Names in tagged texts, and how well they are found: as `conlleval` and seqeval count."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_pretrained.applications.tasks.labels import Label

_ENTITY_TAG = re.compile(r"[BIES](-.+)?|O", re.DOTALL)


class Entity(NamedTuple):
    """An entity of a text.

    Attributes:
        start, end: its first word, and the word behind its last.
        label: its type, such as `"PER"`; `"_"` where the tags name none.
        text: its words, with spaces between them.
    """

    start: int
    end: int
    label: str
    text: str


def entities(words: Sequence[str], tags: Sequence[str]) -> list[Entity]:
    """The entities of one text, whatever of BIO, IOB1 and IOBES its tags are.

    Tags are read as `conlleval` reads them: one that cannot follow the tag before it, such as
    `I-LOC` behind `I-PER` or behind `O`, begins an entity.

    Args:
        words: of the text.
        tags: one a word: `O`, or `B-`, `I-`, `E-` or `S-` and a type.

    Raises:
        ValueError: another number of tags than of words, or a tag of another form.

    Example:
        >>> entities(["Ada", "Lovelace", "of", "London"], ["B-PER", "I-PER", "O", "B-LOC"])[1]
        Entity(start=3, end=4, label='LOC', text='London')
    """
    if len(words) != len(tags):
        raise ValueError(f"Expected one tag a word. Received: {len(words)} words, {len(tags)} tags")
    wrong = [tag for tag in tags if not is_entity_tag(tag)]
    if wrong:
        raise ValueError(f"Expected tags O, or B-, I-, E- or S- and a type. Received: {wrong[0]!r}")
    return [
        Entity(start, end, label, " ".join(words[start:end])) for start, end, label in _spans(tags)
    ]


def is_entity_tag(tag: Any) -> bool:
    """Whether a tag is one of a scheme that marks entities."""
    return isinstance(tag, str) and _ENTITY_TAG.fullmatch(tag) is not None


@dataclass(frozen=True)
class Score:
    """How well the entities of one type, or of all, are found.

    Attributes:
        precision: the share of the found entities that are right; 0 where none was found.
        recall: the share of the right ones that were found; 0 where there is none.
        f1: the harmonic mean of both.
        support: how many right ones there are.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class TagScores(Score):
    """The score of all entities together (micro average); `print` shows a table.

    Attributes:
        accuracy: the share of words with the right tag.
        by_label: type -> its score, sorted by name.
    """

    accuracy: float
    by_label: Mapping[str, Score]

    def __str__(self) -> str:
        width = max(map(len, [*self.by_label, "together"]))
        lines = [f"{'':{width}}  precision  recall      F1  support"]
        for name, score in [*self.by_label.items(), ("together", self)]:
            lines.append(
                f"{name:{width}}  {score.precision:9.3f}  {score.recall:6.3f}  {score.f1:6.3f}"
                f"  {score.support:7}"
            )
        return "\n".join([*lines, f"words with the right tag: {self.accuracy:.3f}"])


def tag_scores(
    expected: Sequence[Sequence[Label]], predicted: Sequence[Sequence[Label]]
) -> TagScores:
    """Scores of entities, equal to those of seqeval's default mode.

    An entity counts where its words and its type are right. Tags that mark no entities, such as
    parts of speech, are scored word by word.

    Args:
        expected, predicted: for each text its tags.

    Raises:
        ValueError: not the same texts.
    """
    lengths = [len(tags) for tags in expected], [len(tags) for tags in predicted]
    if lengths[0] != lengths[1]:
        raise ValueError("Expected tags of the same texts, one a word, on both sides.")
    flat = [label for tags in (*expected, *predicted) for label in tags]
    read = _spans if all(is_entity_tag(label) for label in flat) else _single_words
    found: dict[str, list[set[tuple[int, int, int]]]] = defaultdict(lambda: [set(), set()])
    for side, texts in enumerate((expected, predicted)):
        for number, tags in enumerate(texts):
            for start, end, label in read(tags):
                found[label][side].add((number, start, end))
    counts = {
        label: (len(right & made), len(made), len(right))
        for label, (right, made) in sorted(found.items())
    }
    together = [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0, 0]
    pairs = [
        (right, made)
        for tags, others in zip(expected, predicted, strict=True)
        for right, made in zip(tags, others, strict=True)
    ]
    return TagScores(
        *_ratios(*together),
        accuracy=sum(right == made for right, made in pairs) / max(len(pairs), 1),
        by_label={label: Score(*_ratios(*each)) for label, each in counts.items()},
    )


def _ratios(hits: int, found: int, right: int) -> tuple[float, float, float, int]:
    precision, recall = hits / max(found, 1), hits / max(right, 1)
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0, right


def _spans(tags: Sequence[Any]) -> Iterator[tuple[int, int, str]]:
    """Start, end and type of each entity; every word but those tagged O belongs to one."""
    start, before, label = 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        kind, name = tag[0], tag[2:] or "_"
        begins = kind in "BS" or before in "ESO" or name != label
        if before != "O" and (kind == "O" or begins):
            yield start, place, label
        if begins:
            start = place
        before, label = kind, name


def _single_words(tags: Sequence[Any]) -> Iterator[tuple[int, int, str]]:
    for place, tag in enumerate(tags):
        yield place, place + 1, str(tag)
