"""Discriminative fine-tuning: a learning rate for every stage, with any Keras optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbones, stage_variables


def discriminative(
    optimizer: Any,
    network: Any,
    layer_decay: float | None = None,
    factors: Mapping[str, float] | None = None,
    decay_vectors: bool = False,
) -> StageRates:
    """An optimizer whose learning rate depends on the stage that a variable belongs to.

    Early stages hold what is general and move little, late ones move more. With `layer_decay=d`
    the last stage of a pretrained layer has the rate `d * rate`, the one before it `d**2 * rate`,
    and so on down to the stem; new parameters, such as those of a fresh classifier, have the full
    rate. Of an image network that is trained with its own classifier, that is the last stage and
    has the full rate.

    The update is scaled, not the gradient, which Adam and its relatives would divide out again.
    Weight decay is scaled in the same way, and by default vectors and scalars are excluded from
    it: biases, and the scales and offsets of normalisations.

    References: [ULMFiT](https://arxiv.org/abs/1801.06146), section 3.2, which suggests
    `layer_decay=1/2.6`; BERT's and ELECTRA's programs for what is not decayed.

    Args:
        optimizer: a new Keras optimizer, or the name of one. It belongs to the result then.
        network: a pretrained layer, or a model that holds one or several.
        layer_decay: the ratio of the rates of two stages that follow each other.
        factors: name of a stage -> factor on the optimizer's learning rate, instead of
            `layer_decay`. Stages that are not named have the factor 1.
        decay_vectors: whether weight decay reaches biases and normalisations, too.

    Returns:
        A Keras optimizer, for `compile()`. Its slots, its schedule and its factors are part of a
        saved model.

    Raises:
        ValueError: a stage that does not exist, a factor out of range, an optimizer that has been
            in use.

    Example:

    ```python
    encoder = BertEncoder("minilm-l6", pooling="mean")
    inputs = encoder.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)))
    optimizer = keras.optimizers.AdamW(2e-5, weight_decay=0.01)
    model.compile(finetune.discriminative(optimizer, encoder, layer_decay=1 / 2.6), "mse")
    ```
    """
    optimizer = keras.optimizers.get(optimizer)
    if (layer_decay is None) == (factors is None):
        raise ValueError(
            "Expected either `layer_decay` or `factors`. "
            f"Received: layer_decay={layer_decay!r}, factors={factors!r}"
        )
    stages: dict[str, Any] = {}
    networks = backbones(network)
    for found in networks:
        chosen = decayed(found, layer_decay) if factors is None else _named(found, factors)
        for name, variables in stage_variables(found).items():
            key = name if len(networks) == 1 else f"{found.name}/{name}"
            stages[key] = {"factor": chosen[name], "variables": variables}
    return StageRates(optimizer, stages, decay_vectors)


def decayed(network: Any, layer_decay: float | None) -> dict[str, float]:
    """Stage -> the factor that `layer_decay` gives it."""
    if layer_decay is None or not 0 < layer_decay <= 1:
        raise ValueError(f"`layer_decay` must lie above 0, up to 1. Received: {layer_decay!r}")
    used = [stage.name for i, stage in enumerate(network.stages) if network.in_use(i)]
    # What is new stands above a layer; the classifier of a whole model is its last stage.
    top = 0 if isinstance(network, keras.Model) else 1
    return {name: layer_decay ** (top + above) for above, name in enumerate(reversed(used))}


def _named(network: Any, factors: Mapping[str, float]) -> dict[str, float]:
    names = [stage.name for stage in network.stages]
    unknown = sorted(set(factors) - set(names))
    if unknown:
        raise ValueError(
            f"`factors` names stages that {network.name!r} does not have: {', '.join(unknown)}. "
            f"Expected some of: {', '.join(names)}"
        )
    return {name: float(factors.get(name, 1.0)) for name in names}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class StageRates(keras.optimizers.Optimizer):
    """An optimizer around another one, whose rate it scales by stage; `discriminative` makes it.

    Without stages all that it does is to keep weight decay from biases and normalisations:
    `StageRates(keras.optimizers.AdamW(2e-5, weight_decay=0.01))`. Other than what
    `exclude_from_weight_decay` is told, that is part of a saved model.

    There is one inner optimizer for all variables, so that clipping by the global norm sees all
    gradients, and callbacks that read or set `learning_rate` work. (`keras.optimizers.
    MultiOptimizer` has one for each group, which clips each by itself, and has no rate.)

    Args:
        inner_optimizer: does the work; not built yet.
        stages: name -> `{"factor": number, "variables": ...}`, variables or their paths. What is
            not listed has the factor 1.
        decay_vectors: whether weight decay reaches vectors and scalars.
    """

    def __init__(
        self,
        inner_optimizer: Any,
        stages: Mapping[str, Mapping[str, Any]] | None = None,
        decay_vectors: bool = False,
        name: str | None = None,
    ) -> None:
        stages = {} if stages is None else stages
        _check(inner_optimizer, stages)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.decay_vectors = decay_vectors
        # Keras would track variables that it finds in an attribute.
        self._factor_of: dict[Any, float] = {}
        self._table: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._matched = False
        for stage, entry in stages.items():
            members = list(entry["variables"])
            if all(not isinstance(member, str) for member in members):
                self._matched = True
                for variable in members:
                    self._factor_of[inner_optimizer._var_key(variable)] = float(entry["factor"])
            paths = [getattr(member, "path", member) for member in members]
            self._table[stage] = (float(entry["factor"]), tuple(paths))
        # The inner optimizer's own steps, with the rate of the variable's stage. Every Keras
        # optimizer goes through these two.
        self._plain_step = inner_optimizer.update_step
        self._plain_decay = inner_optimizer._apply_weight_decay
        inner_optimizer.update_step = self._scaled_step
        inner_optimizer._apply_weight_decay = self._scaled_decay

    @property
    def factors(self) -> dict[str, float]:
        """Stage -> factor on the learning rate."""
        return {stage: factor for stage, (factor, _) in self._table.items()}

    # --- the two steps ----------------------------------------------------------------------

    def _scaled_step(self, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        return self._plain_step(gradient, variable, learning_rate * self._factor(variable))

    def _scaled_decay(self, variables: Iterable[Any]) -> None:
        groups: dict[float, list[Any]] = {}
        for variable in variables:
            if self.decay_vectors or _is_decayed(variable):
                groups.setdefault(self._factor(variable), []).append(variable)
        for factor, group in groups.items():
            with self._scaled_rate(factor):
                self._plain_decay(group)

    @contextmanager
    def _scaled_rate(self, factor: float) -> Iterator[None]:
        """While this lasts, the inner optimizer's learning rate is that of a stage."""
        inner = self.inner_optimizer
        plain = inner._get_current_learning_rate
        inner._get_current_learning_rate = lambda: plain() * factor
        try:
            yield
        finally:
            del inner._get_current_learning_rate

    def _factor(self, variable: Any) -> float:
        return self._factor_of.get(self.inner_optimizer._var_key(variable), 1.0)

    # --- what Keras asks --------------------------------------------------------------------

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        if not self._matched:
            self._match(variables)
        self.inner_optimizer.build(variables)
        super().build(variables)

    def _match(self, variables: list[Any]) -> None:
        """Finds the variables of a saved table by their paths."""
        by_path: dict[str, list[Any]] = {}
        for variable in variables:
            by_path.setdefault(variable.path, []).append(variable)
        listed = [(path, factor) for factor, paths in self._table.values() for path in paths]
        twice = sorted(path for path, _ in listed if len(by_path.get(path, ())) > 1)
        known = [path for path, _ in listed if path in by_path]
        if twice or (listed and not known):
            problem = (
                f"the model has several variables called {twice[0]!r}"
                if twice
                else f"no variable of the model is called like {listed[0][0]!r}"
            )
            raise ValueError(
                f"The rates of optimizer {self.name!r} cannot be matched to variables: {problem}. "
                "Give every layer a name of its own before the model is saved, or load it with "
                "compile=False and make a new optimizer."
            )
        for path, factor in listed:
            for variable in by_path.get(path, ()):
                self._factor_of[self.inner_optimizer._var_key(variable)] = factor
        self._matched = True

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if not self.built and trainable_variables is not None:
            with keras.name_scope(self.name):
                self.build(list(trainable_variables))
        self.inner_optimizer.apply(grads, trainable_variables)

    @property
    def variables(self) -> list[Any]:
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    def set_weights(self, weights: list[Any]) -> None:
        own = len(self._variables)
        super().set_weights(weights[:own])
        self.inner_optimizer.set_weights(weights[own:])

    def scale_loss(self, loss: Any) -> Any:
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Any) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": keras.saving.serialize_keras_object(self.inner_optimizer),
            "stages": {
                stage: {"factor": factor, "variables": list(paths)}
                for stage, (factor, paths) in self._table.items()
            },
            "decay_vectors": self.decay_vectors,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> StageRates:
        inner = keras.saving.deserialize_keras_object(
            config["inner_optimizer"], custom_objects=custom_objects
        )
        return cls(**{**config, "inner_optimizer": inner})


def _is_decayed(variable: Any) -> bool:
    """Matrices and above, but for biases (some recurrent layers have them as matrices)."""
    return len(variable.shape) > 1 and "bias" not in variable.name.rsplit("/", 1)[-1]


def _check(optimizer: Any, stages: Mapping[str, Mapping[str, Any]]) -> None:
    nested = (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer, StageRates)
    if isinstance(optimizer, nested):
        raise ValueError(
            "Expected a plain optimizer. (With a float16 policy, compile() puts the loss scaling "
            f"around the result.) Received: {optimizer!r}"
        )
    if optimizer.built:
        raise ValueError(
            f"Optimizer {optimizer.name!r} has been in use and holds the state of other "
            "variables. Make a new one."
        )
    for stage, entry in stages.items():
        if not 0 < entry["factor"] < math.inf:
            raise ValueError(
                f"The factor of stage {stage!r} must be a positive number; `trainable_from` "
                f"freezes. Received: {entry['factor']!r}"
            )
