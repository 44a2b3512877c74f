"""`Application`: a builder with the conventions of `keras.applications`."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, SupportsIndex

from keras_pretrained.applications.vision.making import make_model
from keras_pretrained.applications.vision.parts import SCALINGS
from keras_pretrained.applications.vision.plan import Network, Plan
from keras_pretrained.applications.vision.vision_model import VisionModel
from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.layers.depth import Depth
from keras_pretrained.presets import Preset, image_presets, resolve
from keras_pretrained.presets.unpacking import is_archive, unpacked
from keras_pretrained.weights import WeightsError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """The checkpoint that a model is loaded from.

    Attributes:
        form: name of its dialect.
        origin: what the user named.
    """

    checkpoint: Checkpoint
    form: str
    origin: Path
    preset: Preset | None = None


class Application:
    """Builds an image network, with the conventions of `keras.applications`.

    Call it: `model = InceptionV1(weights="imagenet-slim")`.

    Args:
        weights: `"imagenet-slim"`, `"imagenet-keras"`, `"imagenet-torchvision"`: published weights,
            as far as there are some of this network (`weights.published` lists them); `"auto"`: the
            first of them; None: random weights; or the path of a checkpoint: `x.ckpt` (of
            TensorFlow, both formats), `x.tgz` or `x.tar.gz` (slim's archives), `x.h5` (Keras),
            `x.pth` or `x.safetensors` (torchvision).
        include_top: whether the classifier is part of the model.
        classes: number of logits. None: as many as the checkpoint has (1001 for most of slim's,
            the background first). Another number makes a fresh classifier with random weights;
            `load_report.ignored` names the one that was left out.
        input_shape: (height, width, 3); by default the published size with the classifier, and any
            size without it.
        pooling: without the classifier: None for the last feature map, `"avg"` or `"max"`.
        trainable_from: the depth from which it trains; see docs/freezing.md. The stages are those
            of `model.stages`.
        preprocessing: whether the model scales images itself: uint8 or float values 0..255 in RGB
            go in. False: they have been scaled as the original wants them.
        classifier_activation: `"softmax"`, or None for logits.
        keep_statistics: whether batch normalisations never update their statistics, even where
            they train. Those of frozen stages never do.
        norm_momentum: how much of the statistics stays with every batch, where they follow.
            (Publishers took up to 0.9997, for millions of steps.)
        dialect: of a checkpoint of one's own, when it cannot be told from the names, or of the
            variant to build when `weights=None`: `"slim"`, `"keras"` or `"torchvision"`.
        name: of the model.
        options: of this network, such as `alpha`.

    Returns:
        A `VisionModel`: a functional `keras.Model` with `stages`, `trainable_from`, `features()`,
        `split()`, `load_report` and `save_weights_as()`.

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint does
            not fit, listing every tensor that does not.
    """

    def __init__(self, network: Network, doc: str = "") -> None:
        self.network = network
        self.__name__ = network.name
        self.__doc__ = f"{doc}\n\n{Application.__doc__}" if doc else Application.__doc__

    def __repr__(self) -> str:
        return f"<{self.network.path}>"

    def __call__(
        self,
        weights: str | os.PathLike[str] | Preset | None = "auto",
        *,
        include_top: bool = True,
        classes: int | None = None,
        input_shape: tuple[int | None, int | None, int] | None = None,
        pooling: str | None = None,
        trainable_from: Depth = 0,
        preprocessing: bool = True,
        classifier_activation: str | None = "softmax",
        keep_statistics: bool = False,
        norm_momentum: float = 0.99,
        dialect: str = "auto",
        name: str | None = None,
        **options: Any,
    ) -> VisionModel:
        network = self.network
        options = self._options(options)
        if pooling not in (None, "avg", "max"):
            raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: {pooling!r}")
        with self._found(weights, dialect, input_shape, options) as found:
            form = found.form if found else self._form(dialect)
            plan = Plan(
                network=network,
                form=form,
                options=options,
                include_top=include_top,
                classes=0,
                input_shape=(None, None, 3),
                pooling=pooling,
                scaling=self._scaling(form, found) if preprocessing else None,
                classifier_activation=classifier_activation,
                keep_statistics=keep_statistics,
                norm_momentum=norm_momentum,
                trainable_from=trainable_from,
                preset=found.preset.name if found and found.preset else None,
            )
            published = network.dialects[form].classes
            if found:
                published = network.dialects[form].stored_classes(found.checkpoint) or published
            plan = replace(
                plan,
                classes=_positive(published if classes is None else classes),
                input_shape=self._input_shape(input_shape, include_top, found),
            )
            if not found:
                return make_model(plan, name=name)
            loads_head = classes is None or classes == published
            if include_top and not loads_head:
                _log.info(
                    "%s: a fresh classifier for %s classes stands in place of the stored one for "
                    "%s; it has random weights.",
                    network.name,
                    classes,
                    published,
                )
            return make_model(plan, found.checkpoint, loads_head, found.origin, name)

    # --- arguments --------------------------------------------------------------------------

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(options) - set(self.network.options))
        if unknown:
            raise TypeError(
                f"{self.network.name} has no argument {unknown[0]!r}. Of its own it has: "
                f"{', '.join(self.network.options) or 'none'}."
            )
        return {**self.network.options, **options}

    def _form(self, dialect: str) -> str:
        forms = self.network.dialects
        if dialect == "auto":
            return next(iter(forms))
        if dialect not in forms:
            raise ValueError(
                f"{self.network.name} has no dialect {dialect!r}. Expected 'auto' or one of: "
                f"{', '.join(forms)}."
            )
        return dialect

    def _scaling(self, form: str, found: _Found | None) -> str:
        if found and found.preset and found.preset.image:
            return found.preset.image.scaling
        scaling = self.network.dialects[form].scaling
        if scaling not in SCALINGS:
            raise ValueError(f"Unknown scaling {scaling!r} of {self.network.name}.")
        return scaling

    def _input_shape(
        self, shape: Any, include_top: bool, found: _Found | None
    ) -> tuple[int | None, int | None, int]:
        network = self.network
        size: int | None = network.size
        if found and found.preset and found.preset.image:
            size = found.preset.image.size
        if shape is None:
            size = size if include_top else None
            return (size, size, 3)
        shape = tuple(shape)
        wanted = (
            f"(height, width, 3) with at least {network.smallest} pixels a side"
            if network.any_size or not include_top
            else f"({network.size}, {network.size}, 3), because of its classifier; "
            "include_top=False takes other sizes"
        )
        sides = shape[:2]
        fits = len(shape) == 3 and shape[2] == 3
        fits = fits and all(side is None or side >= network.smallest for side in sides)
        if include_top and not network.any_size:
            fits = fits and sides == (network.size, network.size)
        if not fits:
            raise ValueError(f"`input_shape` of {network.name} must be {wanted}. Received: {shape}")
        return shape

    # --- weights ----------------------------------------------------------------------------

    @contextmanager
    def _found(
        self, weights: Any, dialect: str, input_shape: Any, options: Mapping[str, Any]
    ) -> Iterator[_Found | None]:
        """The checkpoint that `weights` names, while it is read."""
        if weights is None:
            yield None
            return
        preset = self._preset(weights, dialect, input_shape, options)
        if preset is not None:
            files = resolve(preset)
            origin, path = Path(files.weights), Path(files.weights)
            dialect = files.dialect or dialect
        elif isinstance(weights, str) and "://" in weights:
            origin = path = resolve(weights).weights
        else:
            origin = path = Path(weights).expanduser()
        with tempfile.TemporaryDirectory() as folder:
            if is_archive(path):
                path = unpacked(path, Path(folder))
            checkpoint = open_checkpoint(path)
            # Errors and the report name what the user gave, not where it was unpacked.
            checkpoint.path = origin
            yield _Found(checkpoint, self._spoken(checkpoint, dialect, origin), origin, preset)

    def _preset(
        self, weights: Any, dialect: str, input_shape: Any, options: Mapping[str, Any]
    ) -> Preset | None:
        """The preset that a label means; None for a path."""
        if isinstance(weights, Preset):
            return weights
        if not isinstance(weights, str):
            return None
        size = input_shape[0] if input_shape else None
        published = image_presets(self.network.path, size=size, **options)
        if weights == "auto":
            chosen = [p for p in published.values() if dialect in ("auto", _dialect(p))]
            if not chosen:
                raise ValueError(
                    f"No weights of {self.network.name}"
                    + (f" with {dict(options)}" if options else "")
                    + " were published. Give the path of a checkpoint, or weights=None."
                )
            return chosen[0]
        if weights in published:
            return published[weights]
        if weights.startswith("imagenet"):
            raise ValueError(
                f"{self.network.name} has no weights {weights!r}. Expected one of: "
                f"{', '.join(published) or 'none were published'}, a path, or None."
            )
        return None

    def _spoken(self, checkpoint: Checkpoint, dialect: str, origin: Path) -> str:
        forms = self.network.dialects
        if dialect != "auto":
            return self._form(dialect)
        spoken = [name for name, form in forms.items() if form.speaks(checkpoint)]
        if len(spoken) != 1:
            names = sorted(checkpoint)
            raise WeightsError(
                f"{str(origin)!r} is no checkpoint of {self.network.name}: its names are of "
                f"{'several' if spoken else 'none'} of its dialects ({', '.join(forms)}). It has "
                f"{len(names)} tensors: {', '.join(names[:5])}, ... Give the checkpoint of this "
                "network, use the builder of that one, or name the dialect with `dialect=`."
            )
        return spoken[0]


def _dialect(preset: Preset) -> str:
    return preset.sources[0].dialect if preset.sources else "auto"


def _positive(classes: Any) -> int:
    if isinstance(classes, bool) or not isinstance(classes, SupportsIndex) or int(classes) < 1:
        raise ValueError(f"`classes` must be a positive int. Received: {classes!r}")
    return int(classes)
