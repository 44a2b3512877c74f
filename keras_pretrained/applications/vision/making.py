"""From a plan, and a checkpoint if there is one, to a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_pretrained.applications.vision.dialects import Dialect
from keras_pretrained.applications.vision.graph import Graph
from keras_pretrained.applications.vision.parts import ImageScaling
from keras_pretrained.applications.vision.plan import Plan
from keras_pretrained.applications.vision.vision_model import VisionModel
from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.weights import BoundRule, WeightReader, filling

FRESH_HEAD = "the head, in place of which the model has another one, or none"


class GraphMap:
    """The names of a graph's variables in one checkpoint, while the graph is being written."""

    def __init__(
        self,
        form: Dialect,
        layers: Mapping[str, keras.layers.Layer],
        checkpoint: Checkpoint,
        head: bool = True,
    ) -> None:
        self.form = form
        self.layers = layers
        self.checkpoint = checkpoint
        self.head = head

    @property
    def dialect(self) -> str:
        return self.form.name

    def candidates(self, target: str, dims: Mapping[str, int]) -> Iterator[BoundRule]:
        layer = self.layers[target.rpartition("/")[0]]
        for rule in self.form.rules(layer, self.layers, self.checkpoint):
            if rule.target == target:
                yield BoundRule(rule.targets, rule.sources, rule.transform)

    def reason_to_ignore(self, name: str) -> str | None:
        if not self.head and self.form.in_head(name, self.checkpoint):
            return FRESH_HEAD
        return self.form.reason_to_ignore(name, self.checkpoint)


def make_model(
    plan: Plan,
    checkpoint: Checkpoint | None = None,
    head_from_checkpoint: bool = True,
    origin: Path | None = None,
    name: str | None = None,
) -> VisionModel:
    """The model of a plan.

    Args:
        checkpoint: what to load; None for random weights.
        head_from_checkpoint: whether the head is loaded too, where the plan has one.
        origin: the path that the user gave, for the report.

    Raises:
        WeightsError: the checkpoint does not fit; the message lists every tensor that does not.
    """
    form, network = plan.dialect, plan.network
    graph = Graph(form.style, plan.norm_momentum, plan.keep_statistics, plan.folded)
    loads_head = plan.include_top and head_from_checkpoint
    reader = None
    if checkpoint is not None:
        layer_names = GraphMap(form, graph.layers, checkpoint, loads_head)
        reader = WeightReader(checkpoint, layer_names, {})
    options = {**form.knobs, **plan.options}
    images = x = keras.Input(plan.input_shape, name="images")
    if plan.scaling is not None:
        x = ImageScaling(plan.scaling, name="scaling")(x)
    with filling(reader, "") if reader else nullcontext():
        x = network.body(graph, x, **options)
        if loads_head:
            x = _head(plan, graph, x, options)
    if plan.include_top and not loads_head:
        x = _head(plan, graph, x, options)
    report = reader.finish() if reader else None
    if report and origin is not None:
        report = replace(report, path=origin)
    if plan.include_top:
        graph.end("logits", x)
        if plan.classifier_activation not in (None, "linear"):
            x = keras.layers.Activation(plan.classifier_activation, name="predictions")(x)
    elif plan.pooling == "avg":
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif plan.pooling == "max":
        x = keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
    return VisionModel(plan, graph, images, x, report, name)


def without_head(model: VisionModel) -> VisionModel:
    """The same network up to its last feature map, with the same weights."""
    plan = replace(model.plan, include_top=False, pooling=None, trainable_from=0)
    made = make_model(plan, name=model.name)
    for name, layer in made.graph.layers.items():
        layer.set_weights(model.graph.layers[name].get_weights())
    return made


def _head(plan: Plan, graph: Graph, x: Any, options: Mapping[str, Any]) -> Any:
    with graph.stage("logits", head=True):
        return plan.network.head(graph, x, plan.classes, **options)
