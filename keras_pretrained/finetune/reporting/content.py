"""What a report says, whatever it is written as."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

from keras_pretrained.finetune.reporting.answers import Answers, Classes, Numbers
from keras_pretrained.finetune.reporting.depth_plan import NEW, DepthPlan, StageRow, depth_plan
from keras_pretrained.finetune.reporting.held_out import HeldOut
from keras_pretrained.finetune.reporting.rate_curves import RateCurves, rate_curves
from keras_pretrained.finetune.reporting.recorded import Curve, Recorded
from keras_pretrained.finetune.unfreezing import plain_optimizers

LARGEST_MATRIX = 30
"""With more classes the most frequent confusions stand in a list."""

MISTAKES = 15
"""So many confusions stand in that list."""

_LONG_PLAN = 24
"""With more stages, those that were treated alike share a row."""


@dataclass(frozen=True)
class Content:
    """All parts of a report.

    Attributes:
        title: one line.
        facts: name -> value, in words.
        held_out: None without validation data.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    plan: DepthPlan
    rates: RateCurves
    curves: tuple[Curve, ...]
    held_out: HeldOut | None

    @property
    def plan_rows(self) -> list[tuple[str, str, str, str]]:
        """Stage, parameters, state and factor, in words."""
        return _plan_rows(self.plan.rows)


def content_of(model: keras.Model, training: Recorded, held: HeldOut | None) -> Content:
    """Puts together what is known of a training."""
    plan = depth_plan(model, training)
    rates = rate_curves(plan, training)
    return Content(
        title=f"Fine-tuning of {model.name}",
        facts=_facts(plan, rates, training, held),
        plan=plan,
        rates=rates,
        curves=training.curves,
        held_out=held,
    )


def share(value: float) -> str:
    """`0.873`; `-` for no share at all."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def held_out_title(answers: Answers) -> str:
    """What the counts of these answers are called."""
    if isinstance(answers, Classes):
        is_small = len(answers.labels) <= LARGEST_MATRIX
        return "Confusion matrix" if is_small else "Most frequent confusions"
    return "Errors" if isinstance(answers, Numbers) else "Labels"


def _facts(
    plan: DepthPlan, rates: RateCurves, training: Recorded, held: HeldOut | None
) -> tuple[tuple[str, str], ...]:
    networks = ", ".join(plan.networks)
    none = "no network with stages; FrozenBackbone(model) gives any model its stages"
    trained = sum(row.parameters for row in plan.rows if row.trains)
    count = len(training.epochs)
    epochs = f"{count:,} epoch{'s' if count > 1 else ''}"
    steps = f", {rates.total:,} steps" if rates.total else ""
    facts = [
        ("pretrained", networks or none),
        ("trained", f"{trained:,} of {plan.parameters:,} parameters"),
        ("training", f"{epochs}{steps}"),
    ]
    if training.optimizer is not None:
        names = ", ".join(type(each).__name__ for each in plain_optimizers(training.optimizer))
        facts.append(("optimizer", names))
    if held is not None:
        answers = held.answers
        right = ""
        if answers.right is not None:
            right = f", {answers.right_name} {answers.right / answers.rows:.3f}"
        facts.append(("validation", f"{answers.rows:,} examples{right}"))
        if held.not_finite:
            facts.append(
                ("not finite", f"{held.not_finite:,} examples, which are left out of all counts")
            )
    return tuple(facts)


def _plan_rows(rows: tuple[StageRow, ...]) -> list[tuple[str, str, str, str]]:
    groups: list[list[StageRow]] = []
    for row in rows:
        alike = (
            len(rows) > _LONG_PLAN
            and groups
            and row.name != NEW
            and (row.state, row.factor) == (groups[-1][0].state, groups[-1][0].factor)
        )
        if alike:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [
        (
            group[0].name
            if len(group) == 1
            else f"{group[0].name} … {group[-1].name} ({len(group)} stages)",
            f"{sum(row.parameters for row in group):,}",
            group[0].state,
            "-" if group[0].factor is None else f"{group[0].factor:.3g}",
        )
        for group in groups
    ]
