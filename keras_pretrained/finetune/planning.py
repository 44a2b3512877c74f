"""What to freeze and how to train, from how much data there is and how like the original's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbone as only_backbone
from keras_pretrained.finetune.rates import StageRates, discriminative
from keras_pretrained.finetune.schedules import SlantedTriangular
from keras_pretrained.finetune.unfreezing import GradualUnfreezing
from keras_pretrained.layers.base import PretrainedLayer

FEW_EXAMPLES = 2_000
"""Up to here a data set counts as small."""


@dataclass(frozen=True)
class _Scenario:
    """One of the four.

    Attributes:
        frozen: the share of the stages that is frozen.
        epochs: number of epochs, besides one for each stage that opens.
        gradually: whether stages open one after the other.
    """

    name: str
    why: str
    frozen: float
    learning_rate: float
    layer_decay: float
    epochs: int
    gradually: bool = False


_SCENARIOS = {
    ("few", "high"): _Scenario(
        "frozen features",
        "The features fit the data, and few examples would spoil them: only what is new trains.",
        frozen=1.0,
        learning_rate=1e-3,
        layer_decay=1.0,
        epochs=20,
    ),
    ("few", "low"): _Scenario(
        "early stages frozen",
        "Late stages are special to the original task, and few examples cannot train all: the "
        "early stages, which are general, stay, and the others open one after the other.",
        frozen=0.5,
        learning_rate=5e-5,
        layer_decay=1 / 2.6,
        epochs=4,
        gradually=True,
    ),
    ("many", "high"): _Scenario(
        "full fine-tuning",
        "There are examples enough to train all stages, and they start near: small rates, smaller "
        "still below.",
        frozen=0.0,
        learning_rate=2e-5,
        layer_decay=0.75,
        epochs=3,
    ),
    ("many", "low"): _Scenario(
        "full fine-tuning from pretrained weights",
        "There are examples enough to train all stages. Pretrained weights still begin better than "
        "random ones; all stages have to move, with larger rates.",
        frozen=0.0,
        learning_rate=5e-5,
        layer_decay=0.9,
        epochs=3,
    ),
}


_IN_A_MODEL = (
    "Here they train at once: those of a model open one by one only where a layer holds it, "
    "FrozenBackbone(model, trainable_from=0)."
)
"""Said of stages that would open one after the other."""


@dataclass(frozen=True)
class Plan:
    """A recommendation; `str(plan)` is a table, and every field may be changed.

    Attributes:
        scenario: in words.
        why: the reason.
        num_examples, similarity: what it was made from.
        trainable_from: the name of the first stage that trains, None for none.
        frozen, trained: the stages by name.
        learning_rate: the largest rate.
        layer_decay: the ratio of the rates of two stages that follow each other.
        schedule: `"slanted-triangular"`, or `"constant"` where only what is new trains.
        unfreeze_every: epochs between two openings of a stage; None opens all at once.
        cache: whether cached features pay.
        epochs: number of epochs.
    """

    scenario: str
    why: str
    num_examples: int
    similarity: str
    trainable_from: str | None
    frozen: tuple[str, ...]
    trained: tuple[str, ...]
    learning_rate: float
    layer_decay: float
    schedule: str
    unfreeze_every: int | None
    cache: bool
    epochs: int

    def optimizer(self, network: Any, steps_per_epoch: int) -> Any:
        """A new AdamW with the rates and the schedule of the plan.

        Biases and normalisations are not decayed, as in the original programs.

        Args:
            network: the backbone, or the model around it, at the plan's depth.
            steps_per_epoch: number of batches.
        """
        rate: Any = self.learning_rate
        steps = steps_per_epoch * self.epochs
        if self.schedule == "slanted-triangular" and steps > 1:
            # At least one step has to rise.
            rate = SlantedTriangular(rate, steps, cut_frac=min(max(0.1, 1 / steps), 0.5))
        made = keras.optimizers.AdamW(rate, weight_decay=0.01)
        if not self.trained:
            return StageRates(made)
        return discriminative(made, network, self.layer_decay)

    def callbacks(self, network: Any) -> list[keras.callbacks.Callback]:
        """What `fit` needs for the plan."""
        if self.unfreeze_every is None:
            return []
        return [GradualUnfreezing(network, every=self.unfreeze_every)]

    def apply(self, network: Any) -> None:
        """Sets the depth of the backbone."""
        only_backbone(network).trainable_from = self.trainable_from

    def __str__(self) -> str:
        every = self.unfreeze_every
        rows = {
            "scenario": self.scenario,
            "why": self.why,
            "data": f"{self.num_examples:,} examples, similarity {self.similarity}",
            "frozen": _range_of(self.frozen),
            "trained": ", ".join(filter(None, [_range_of(self.trained, ""), "what is new"])),
            "learning rate": f"{self.learning_rate:g}, {self.schedule}",
            "layer decay": f"{self.layer_decay:.3g}" if self.trained else "-",
            "unfreezing": "all at once" if every is None else f"a stage every {every} epoch(s)",
            "cached features": "yes" if self.cache else "no",
            "epochs": str(self.epochs),
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def plan(num_examples: int, similarity: str, backbone: Any) -> Plan:
    """One of the four classic scenarios of transfer learning, as a plan for a network.

    | data | like the original's | unlike |
    |---|---|---|
    | few | frozen features | early stages frozen, the rest opens stage by stage |
    | many | full fine-tuning, small rates | full fine-tuning, larger rates |

    It is a rule of thumb to begin with; `search_depth` measures. The rates are those that BERT's
    authors suggest, from 2e-5 to 5e-5; image networks often take larger ones.

    Args:
        num_examples: of the data set; up to 2,000 count as few.
        similarity: `"high"` or `"low"`: how like the data are to those that the network was
            trained on.
        backbone: a pretrained layer, an image network, or a model that holds one.

    Example:

    ```python
    plan = finetune.plan(800, similarity="low", backbone=encoder)
    print(plan)
    plan.apply(model)
    model.compile(plan.optimizer(model, steps_per_epoch=25), "mse")
    model.fit(ids, targets, epochs=plan.epochs, callbacks=plan.callbacks(encoder))
    ```
    """
    if similarity not in ("high", "low"):
        raise ValueError(f"`similarity` must be 'high' or 'low'. Received: {similarity!r}")
    if num_examples < 1:
        raise ValueError(f"`num_examples` must be at least 1. Received: {num_examples!r}")
    network = only_backbone(backbone)
    used = [stage for index, stage in enumerate(network.stages) if network.in_use(index)]
    names = [stage.name for stage in used]
    chosen = _SCENARIOS["few" if num_examples <= FEW_EXAMPLES else "many", similarity]
    gradually = chosen.gradually and isinstance(network, PretrainedLayer)
    first = math.ceil(chosen.frozen * len(names))
    trained = names[first:]
    return Plan(
        scenario=chosen.name,
        why=chosen.why if gradually == chosen.gradually else f"{chosen.why} {_IN_A_MODEL}",
        num_examples=num_examples,
        similarity=similarity,
        trainable_from=trained[0] if trained else None,
        frozen=tuple(names[:first]),
        trained=tuple(trained),
        learning_rate=chosen.learning_rate,
        layer_decay=chosen.layer_decay,
        schedule="slanted-triangular" if trained else "constant",
        unfreeze_every=1 if gradually else None,
        # Stages that open while it trains are no fixed prefix, but those below them are.
        cache=first > 0,
        epochs=chosen.epochs + (len(trained) if gradually else 0),
    )


def _range_of(names: tuple[str, ...], nothing: str = "nothing") -> str:
    if len(names) < 3:
        return ", ".join(names) or nothing
    return f"{names[0]} ... {names[-1]} ({len(names)} stages)"
