"""`Task`: a functional Keras model that also takes and returns what people write."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from keras_pretrained.finetune import LinearWarmup, Plan, StageRates
from keras_pretrained.finetune.backbones import backbone
from keras_pretrained.layers.depth import Depth

BATCH_SIZE = 32
RATE = 5e-5
"""The learning rate where nothing else is said: the largest that BERT's authors suggest."""


class Task(keras.Model):
    """A pretrained network with a head, for people's own material.

    It is a functional Keras model: on arrays, tensors and data sets, all of its methods are
    Keras' own. On plain Python material (lists of texts, of words, of images), `fit` and
    `evaluate` prepare it, and `predict` returns answers instead of arrays.

    A subclass makes its graph in `__init__` and says how material becomes batches.

    Attributes:
        backbone: the pretrained network inside.
    """

    learning_rate: ClassVar[float] = RATE

    # --- for subclasses ---------------------------------------------------------------------

    @abstractmethod
    def is_material(self, x: Any) -> bool:
        """Whether this is people's material, in place of a network's arrays."""

    @abstractmethod
    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        """Material as a `keras.utils.PyDataset`.

        Args:
            x, y, sample_weight: as `fit` takes them; y is None for predictions.
            training: whether the order is another one in each epoch.
        """

    @abstractmethod
    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> Any:
        """What `predict` returns for material."""

    @abstractmethod
    def default_loss(self) -> Any:
        """The loss where `compile` is given none."""

    def default_metrics(self) -> list[Any]:
        """The metrics where `compile` is given none; they see the weights of examples."""
        return []

    # --- training -----------------------------------------------------------------------------

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", metrics: Any = "auto", **kwargs: Any
    ) -> None:
        """As `keras.Model.compile`, with the task's own loss and metrics, and AdamW.

        Args:
            optimizer: `"auto"` for AdamW with a constant rate, which does not decay biases and
                normalisations.
            loss, metrics: `"auto"` for the task's own.
            kwargs: of `keras.Model.compile`.
        """
        if optimizer == "auto":
            optimizer = _adamw(self.learning_rate)
        if loss == "auto":
            loss = self.default_loss()
        if metrics == "auto":
            metrics = None
            kwargs.setdefault("weighted_metrics", self.default_metrics())
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)
        self._is_own_compile = False

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        *,
        plan: Plan | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on material, or as `keras.Model.fit` on anything else.

        A task that was not compiled trains with AdamW, whose rate rises for a tenth of the steps
        and falls to 0 (`finetune.LinearWarmup`); each `fit` then begins a new schedule.

        Args:
            x, y: material and its answers, as the class says.
            batch_size: examples of a step, 32 by default.
            epochs: 1 by default, or the plan's.
            plan: of `finetune.plan`: its depth, rates, schedule and unfreezing are used, with an
                optimizer of its own.
            sample_weight: one number an example.
            class_weight: class -> weight of its examples.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, also material; or material alone
                where no answers are needed.
            validation_split: the share of the material that is held out, taken at random.
            shuffle: whether each epoch has another order.
            kwargs: of `keras.Model.fit`.

        Returns:
            The history of losses and metrics.
        """
        passed = {"callbacks": list(callbacks or ()), **kwargs}
        if plan is not None and epochs:
            plan = dataclasses.replace(plan, epochs=epochs)
        if epochs is None:
            epochs = plan.epochs if plan else 1
        if self.is_material(x):
            if validation_split:
                (x, y, sample_weight), validation_data = self._held_out(
                    x, y, sample_weight, validation_split
                )
            sample_weight = self.weighted(y, sample_weight, class_weight)
            size = batch_size or BATCH_SIZE
            x = self.batches(x, y, sample_weight, size, training=shuffle)
            y = sample_weight = batch_size = class_weight = None
            validation_split = 0.0
            # The batches are shuffled already; Keras would break the order of a stream.
            shuffle = False
        passed["shuffle"] = shuffle
        if validation_data is not None:
            validation_data = self._validation(validation_data)
        if plan is not None or not self.compiled or self._is_own_compile:
            self._compile_for(plan, _steps(x, batch_size), epochs)
        if plan is not None:
            passed["callbacks"] += plan.callbacks(self)
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            **passed,
        )

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        """As `keras.Model.evaluate`, also on material."""
        if not self.compiled:
            self.compile()
            self._is_own_compile = True
        if self.is_material(x):
            weight = kwargs.pop("sample_weight", None)
            x, y = self.batches(x, y, weight, batch_size or BATCH_SIZE), None
            batch_size = None
        return super().evaluate(x, y, batch_size=batch_size, **kwargs)

    def predict(self, x: Any, batch_size: int | None = None, **kwargs: Any) -> Any:
        """Answers for material, or arrays as `keras.Model.predict` for anything else."""
        if self.is_material(x):
            return self.answers(x, batch_size or BATCH_SIZE, **kwargs)
        return super().predict(x, batch_size=batch_size, **kwargs)

    def outputs_of(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> Any:
        """The network's outputs for material, in its order."""
        batches = self.batches(x, batch_size=batch_size)
        kwargs.setdefault("verbose", 0)
        return batches.restore(super().predict(batches, **kwargs))

    def weighted(self, y: Any, sample_weight: Any, class_weight: Mapping[Any, float] | None) -> Any:
        """The weight of each example, or None.

        Raises:
            ValueError: weights of classes, where a task has no classes.
        """
        if class_weight is not None:
            raise ValueError(f"{type(self).__name__} has no `class_weight`. Use `sample_weight`.")
        return sample_weight

    # --- the network --------------------------------------------------------------------------

    @property
    def backbone(self) -> Any:
        return backbone(self)

    @property
    def trainable_from(self) -> Depth:
        """The depth from which the backbone trains; may be set, see `FrozenBackbone`."""
        return self.backbone.trainable_from

    @trainable_from.setter
    def trainable_from(self, value: Depth) -> None:
        self.backbone.trainable_from = value

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, the backbone as `source`."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        source = keras.saving.deserialize_keras_object(config.pop("source"), custom_objects)
        return cls(source, **config)

    def get_compile_config(self) -> dict[str, Any] | None:
        config = super().get_compile_config()
        return config and {**config, "is_own": self._is_own_compile}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        config = dict(config)
        is_own = config.pop("is_own", False)
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._is_own_compile = is_own
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # --- inside -------------------------------------------------------------------------------

    _is_own_compile = False
    """Whether `fit` compiled the task, with a schedule that ends with that training."""

    def _compile_for(self, plan: Plan | None, steps: int | None, epochs: int) -> None:
        optimizer: Any = "auto"
        if plan is not None:
            if steps is None:
                raise ValueError("A plan needs data of a known number of batches.")
            plan.apply(self)
            optimizer = plan.optimizer(self, steps)
        elif steps and epochs:
            total = steps * epochs
            rate = LinearWarmup(self.learning_rate, total, min(max(total // 10, 1), total - 1))
            optimizer = _adamw(rate)
        self.compile(optimizer)
        self._is_own_compile = True

    def _validation(self, data: Any) -> Any:
        if isinstance(data, tuple) and data and self.is_material(data[0]):
            return self.batches(*data)
        if isinstance(data, list) and self.is_material(data):
            return self.batches(data)
        return data

    def _held_out(self, x: Any, y: Any, sample_weight: Any, share: float) -> tuple[Any, Any]:
        """Material in two parts: to train on, and to validate on."""
        count = self.count(x)
        held = int(count * share)
        if not 0 < held < count:
            raise ValueError(
                f"`validation_split` must leave examples on both sides. Received: {share} of "
                f"{count} examples"
            )
        order = np.random.permutation(count)

        def part(rows: np.ndarray) -> tuple[Any, Any, Any]:
            return self.chosen(x, rows), _chosen(y, rows), _chosen(sample_weight, rows)

        return part(order[held:]), part(order[:held])

    def count(self, x: Any) -> int:
        """How many examples the material has."""
        return len(x)

    def chosen(self, x: Any, rows: np.ndarray) -> Any:
        """Some examples of the material."""
        return _chosen(x, rows)


def _adamw(rate: Any) -> StageRates:
    """As BERT's authors train: biases and normalisations are not decayed."""
    return StageRates(keras.optimizers.AdamW(rate, weight_decay=0.01))


def batch_rows(count: int, batch_size: int) -> int:
    """How many rows a batch has: few examples fill up to a power of two.

    A step is compiled anew for each shape, which single questions of a user should share.
    """
    return min(batch_size, 1 << (count - 1).bit_length())


def _chosen(data: Any, rows: np.ndarray) -> Any:
    if data is None or isinstance(data, np.ndarray):
        return data if data is None else data[rows]
    return [data[row] for row in rows]


def _steps(x: Any, batch_size: int | None) -> int | None:
    """How many batches an epoch has, if that is known."""
    if hasattr(x, "cardinality"):
        count = int(x.cardinality())
        return count if count > 0 else None
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    leaves: Sequence[Any] = keras.tree.flatten(x)
    if not leaves or not hasattr(leaves[0], "shape"):
        return None
    return -(-int(leaves[0].shape[0]) // (batch_size or BATCH_SIZE))
