"""`report`: a training on one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_pretrained.finetune.reporting.content import Content, content_of
from keras_pretrained.finetune.reporting.held_out import held_out
from keras_pretrained.finetune.reporting.page import page
from keras_pretrained.finetune.reporting.recorded import recorded
from keras_pretrained.finetune.reporting.sheet import sheet
from keras_pretrained.finetune.unfreezing import GradualUnfreezing


def report(
    history: Any,
    model: keras.Model,
    path: str | os.PathLike[str] = "report.html",
    *,
    validation: Any = None,
    labels: Sequence[Any] | None = None,
    texts: Any = None,
    unfreezing: GradualUnfreezing | None = None,
    hardest: int = 10,
    batch_size: int | None = None,
) -> Path:
    """Writes one file about a training, which needs no other file and no network to be read.

    It shows the depth plan (which stages of the pretrained networks were frozen, which trained and
    from which epoch on); the learning rate of each stage at every step: the schedule's, times the
    factor of the stage, 0 while gradual unfreezing keeps it closed; losses and metrics by epoch;
    and with `validation` a confusion matrix and the examples with the highest loss.

    Args:
        history: what `fit` returned, or a dictionary: name -> one value an epoch.
        model: the model that was trained, as it is after that `fit`: the optimizer has counted the
            steps. After training a suffix on cached features, the whole model.
        path: the file to write: `.html`, with texts in every script, for light and dark screens;
            or `.png`. By default in the working directory. An older file is replaced when the new
            one is whole.
        validation: `(inputs, targets)`, `(inputs, targets, sample_weights)` or batches of them,
            as the model takes them; examples of weight 0 are left out. For a task of
            `keras_pretrained.applications` also its material, such as `(texts, labels)`. The
            model must have one output: a row of numbers an example.
        labels: names of the classes in the order of the outputs; by default the model's own
            `labels`, if it is a task, or numbers.
        texts: the validation examples in words, in their order, for the hardest ones; a pair is
            a tuple of two. Not needed where the inputs are texts or images, or token ids that
            the network's tokenizer reads back.
        unfreezing: the callback, for a `history` that is a dictionary. What `fit` returns knows it.
        hardest: how many examples are shown.
        batch_size: of arrays.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: a history without epochs, a path with another suffix, data or labels
            that do not fit the model; the message names it. No file is written then.

    Example:

    ```python
    history = model.fit(ids, targets, epochs=3, callbacks=[finetune.GradualUnfreezing(encoder)])
    finetune.report(
        history, model, "report.html", validation=(held_out_ids, held_out_targets),
        labels=["bad", "good"], texts=held_out_texts,
    )
    ```
    """
    _check_matplotlib()
    place = Path(path)
    makers = {".html": _html, ".png": sheet}
    make = makers.get(place.suffix.lower())
    if make is None:
        raise ValueError(f"Expected a path that ends in .html or .png. Received: {str(path)!r}")
    if not place.parent.is_dir():
        raise ValueError(f"There is no folder {str(place.parent)!r} to write {place.name!r} into.")
    if hardest < 0:
        raise ValueError(f"`hardest` must not be negative. Received: {hardest!r}")
    training = recorded(history, model, unfreezing)
    held = None
    if validation is not None:
        names = getattr(model, "labels", None) if labels is None else labels
        held = held_out(model, validation, training.loss, names, texts, hardest, batch_size)
    _write(place, make(content_of(model, training, held)))
    return place


def _html(content: Content) -> bytes:
    # Half a character of a broken text cannot be written.
    return page(content).encode("utf-8", "replace")


def _check_matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "report() needs matplotlib: pip install 'keras-pretrained[example]'"
        ) from error


def _write(place: Path, data: bytes) -> None:
    temporary = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
