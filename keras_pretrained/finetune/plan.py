"""What to freeze and how to train, from how much data there is and how like the original's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbone as only_backbone
from keras_pretrained.finetune.rates import StageRates, discriminative
from keras_pretrained.finetune.schedules import SlantedTriangular
from keras_pretrained.finetune.unfreezing import GradualUnfreezing

FEW_EXAMPLES = 2_000
"""Up to here a data set counts as small."""

_SCENARIOS = {
    ("small", "high"): (
        "frozen features",
        "The features fit the data, and few examples would spoil them: train what is new only.",
    ),
    ("small", "low"): (
        "early stages frozen",
        "Late stages are special to the original task, and few examples cannot train all: keep the "
        "early stages, which are general, and train from the middle on, one stage after the other.",
    ),
    ("large", "high"): (
        "full fine-tuning",
        "There are enough examples to train all stages, and they start near: small rates, smaller "
        "still below.",
    ),
    ("large", "low"): (
        "full fine-tuning from pretrained weights",
        "There are enough examples to train all stages. Pretrained weights still begin better than "
        "random ones; the rates are larger, and fall off less.",
    ),
}


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

    def optimizer(self, network: Any, steps_per_epoch: int) -> StageRates | Any:
        """A new AdamW with the rates and the schedule of the plan.

        Args:
            network: the backbone, or the model around it, at the plan's depth.
            steps_per_epoch: number of batches.
        """
        rate: Any = self.learning_rate
        if self.schedule == "slanted-triangular":
            steps = steps_per_epoch * self.epochs
            rate = SlantedTriangular(rate, steps, cut_frac=max(0.1, 1 / steps))
        made = keras.optimizers.AdamW(rate, weight_decay=0.01)
        return discriminative(made, network, self.layer_decay) if self.trained else made

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

    It is a rule of thumb to begin with; `search_depth` measures. The rates are those with which
    encoders and image networks of this library's size are usually fine-tuned by AdamW.

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
    size = "small" if num_examples <= FEW_EXAMPLES else "large"
    scenario, why = _SCENARIOS[size, similarity]
    if size == "large":
        first = 0
    elif similarity == "high":
        first = len(names)
    else:
        # Half of the blocks, the stem below them.
        first = max(1, (len(names) + 1) // 2)
    rates = {"high": 2e-5, "low": 5e-5}
    whole = first == len(names)
    return Plan(
        scenario=scenario,
        why=why,
        num_examples=num_examples,
        similarity=similarity,
        trainable_from=None if whole else names[first],
        frozen=tuple(names[:first]),
        trained=tuple(names[first:]),
        learning_rate=1e-3 if whole else rates[similarity],
        layer_decay=0.9 if (size, similarity) == ("large", "low") else 1 / 2.6 if whole else 0.75,
        schedule="constant" if whole else "slanted-triangular",
        unfreeze_every=1 if (size, similarity) == ("small", "low") else None,
        cache=first > 0,
        epochs=20 if whole else len(names) - first + 4 if size == "small" else 3,
    )


def _range_of(names: tuple[str, ...], nothing: str = "nothing") -> str:
    if len(names) < 3:
        return ", ".join(names) or nothing
    return f"{names[0]} ... {names[-1]} ({len(names)} stages)"
