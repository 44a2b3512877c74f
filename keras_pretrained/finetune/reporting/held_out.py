"""A trained model on data that it was not trained on: what it confuses, and what it finds hard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.backbones import backbones
from keras_pretrained.finetune.data import Batches, Example, numpy_of
from keras_pretrained.finetune.reporting.answers import Answer, Answers
from keras_pretrained.finetune.reporting.kinds import answers_for
from keras_pretrained.finetune.reporting.material import Material, material_of

Picture = np.ndarray
"""(height, width, 1 or 3), as the network takes it."""


@dataclass(frozen=True)
class HardExample:
    """One of the examples with the highest loss.

    Attributes:
        number: its place in the data, from 0.
        text: as it was given, or as its token ids say; None where neither is known.
        picture: as the network takes it; None if it takes none.
        answer: what was true and what the model said.
        loss: see `HeldOut.answers.loss_name`.
    """

    number: int
    text: str | None
    picture: Picture | None
    answer: Answer
    loss: float


@dataclass(frozen=True)
class HeldOut:
    """What a model does with examples.

    Attributes:
        answers: counts of all of them.
        hardest: those with the highest loss, the hardest first.
        not_finite: number of examples for which the model gave no finite numbers; they are left
            out of the rest.
    """

    answers: Answers
    hardest: tuple[HardExample, ...]
    not_finite: int


@dataclass(frozen=True)
class _Kept:
    """A row while it may still be one of the hardest."""

    row: int
    loss: float
    output: np.ndarray
    target: np.ndarray
    inputs: Any


def held_out(
    model: keras.Model,
    data: Any,
    loss: Any = None,
    labels: Sequence[Any] | None = None,
    texts: Any = None,
    hardest: int = 10,
    batch_size: int | None = None,
) -> HeldOut:
    """Runs a model over data.

    Args:
        data: batches or arrays, or a task's material, with targets.
        loss: as `compile` was given it, or None.
        labels: names of the classes.
        texts: one for each example in the order of the data, or None.
        hardest: how many examples are kept.

    Raises:
        ValueError: several outputs, outputs that are not one row of numbers an example, or targets
            that do not fit them.
    """
    if len(getattr(model, "outputs", None) or [None]) > 1:
        raise ValueError(
            f"Expected a model with one output. Received: {model.name!r} with "
            f"{len(model.outputs)}. Report on the training alone (validation=None), or pass a "
            "model of one of its outputs: keras.Model(model.inputs, model.outputs[0])."
        )
    material = material_of(model, data, texts, batch_size)
    answers: Answers | None = None
    kept: list[_Kept] = []
    seen = not_finite = 0
    for batch in Batches(material.batches, batch_size):
        outputs, targets = _outputs(model, batch.inputs), _target(batch)
        _check_rows(outputs, targets, model)
        counted, finite = batch.counted(), np.isfinite(outputs).all(axis=1)
        not_finite += int((counted & ~finite).sum())
        rows = np.flatnonzero(counted & finite)
        if len(rows):
            answers = answers or answers_for(outputs[rows], targets[rows], loss, labels)
            losses = answers.add(outputs[rows], targets[rows])
            for index in np.argsort(-losses, kind="stable")[:hardest].tolist():
                row = int(rows[index])
                inputs = keras.tree.map_structure(lambda x, i=row: numpy_of(x[i]), batch.inputs)
                kept.append(_Kept(seen + row, losses[index], outputs[row], targets[row], inputs))
            kept = sorted(kept, key=lambda each: -each.loss)[:hardest]
        seen += len(outputs)
    if answers is None:
        raise ValueError(
            "Expected examples to validate with for which the model gives finite numbers. "
            f"Received: {seen} examples, and {not_finite} of them without"
        )
    return HeldOut(answers, tuple(_hard(kept, answers, material, seen, model)), not_finite)


def _hard(
    kept: list[_Kept], answers: Answers, material: Material, rows: int, model: keras.Model
) -> Iterator[HardExample]:
    number_of = material.numbers(rows)
    for each in kept:
        number = int(number_of[each.row])
        text = material.text(number)
        yield HardExample(
            number=number,
            text=_text(each.inputs, model) if text is None else text,
            picture=_picture(each.inputs),
            answer=answers.answer(each.output, each.target),
            loss=float(each.loss),
        )


def _outputs(model: keras.Model, inputs: Any) -> np.ndarray:
    found = keras.tree.flatten(model.predict_on_batch(inputs))
    if len(found) != 1 or np.ndim(found[0]) not in (1, 2):
        shapes = ", ".join(str(np.shape(each)) for each in found)
        raise ValueError(
            f"Expected one row of numbers an example from model {model.name!r}, such as the "
            f"probabilities of classes. Received outputs of shape: {shapes}"
        )
    outputs = np.asarray(found[0], "float64")
    return outputs.reshape(len(outputs), -1)


def _check_rows(outputs: np.ndarray, targets: np.ndarray, model: keras.Model) -> None:
    """Raises ValueError for a model that scores several texts an example."""
    if len(outputs) != len(targets):
        raise ValueError(
            f"Expected one row of outputs of model {model.name!r} for each target. Received: "
            f"{len(outputs)} rows for {len(targets)} targets. Report on the training alone "
            "(validation=None)."
        )


def _target(batch: Example) -> np.ndarray:
    names = [name for name in batch.targets if name.startswith("target")]
    if len(names) != 1:
        raise ValueError(
            f"Expected one target an example in the validation data. Received: {len(names)}"
        )
    return batch.targets[names[0]]


def _picture(inputs: Any) -> Picture | None:
    leaves = keras.tree.flatten(inputs)
    found = [x for x in leaves if x.ndim == 3 and x.shape[-1] in (1, 3) and x.dtype.kind in "uif"]
    return found[0] if len(found) == 1 else None


def _text(inputs: Any, model: keras.Model) -> str | None:
    """An example's own text, or what its token ids say."""
    strings = [leaf for leaf in keras.tree.flatten(inputs) if leaf.dtype.kind in "OSU"]
    if strings:
        return "\n".join(_decoded(part) for leaf in strings for part in leaf.ravel().tolist())
    if isinstance(inputs, Mapping) and "token_ids" in inputs and inputs["token_ids"].ndim == 1:
        return _read(inputs, model)
    return None


def _read(inputs: Mapping[str, np.ndarray], model: keras.Model) -> str | None:
    """The text that the network read, from its tokenizer."""
    ids = inputs["token_ids"]
    if "padding_mask" in inputs:
        ids = ids[inputs["padding_mask"] != 0]
    try:
        networks = backbones(model)
    except ValueError:
        return None
    tokenizers = [x.tokenizer for x in networks if getattr(x, "has_tokenizer", False)]
    return str(tokenizers[0].decode(ids, skip_special_tokens=True)) if tokenizers else None


def _decoded(part: Any) -> str:
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
