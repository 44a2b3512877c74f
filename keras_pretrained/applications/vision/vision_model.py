"""`VisionModel`: a functional Keras model that knows its stages and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from keras_pretrained.applications.vision.graph import Graph
from keras_pretrained.applications.vision.plan import Plan
from keras_pretrained.checkpoints.writing import write_checkpoint
from keras_pretrained.layers.call_stack import kept_training_flag
from keras_pretrained.layers.model_stages import boundary, declared_stages
from keras_pretrained.layers.staged import Staged
from keras_pretrained.weights import LoadReport, WeightsError, save_weights


@keras.saving.register_keras_serializable(package="keras_pretrained")
class VisionModel(Staged, keras.Model):
    """An image network: a functional `keras.Model` with stages, a depth and named end points.

    The functions of `keras_pretrained.applications` make it.

    Attributes:
        plan: what it was made from, without weights.
        stages, trainable_from: see `keras_pretrained.layers.staged.Staged`.
        end_points: name -> tensor of the graph, as the original calls them.
        load_report: what loading did with every tensor, or None for random weights.
    """

    def __init__(
        self,
        plan: Plan,
        graph: Graph,
        inputs: Any,
        outputs: Any,
        load_report: LoadReport | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name or plan.network.name.lower())
        # Keras would take dictionaries of layers and tensors for parts of the model.
        self._made = (plan, graph)
        self._extractor: tuple[keras.Model, ...] = ()
        self.load_report = load_report
        self.declare(
            declared_stages(self, graph.stages, graph.ends, graph.heads), plan.trainable_from
        )
        self.use_heads()
        self._set_depth(plan.trainable_from)

    @property
    def plan(self) -> Plan:
        return self._made[0]

    @property
    def graph(self) -> Graph:
        """The layers by name, as they were made."""
        return self._made[1]

    @property
    def end_points(self) -> dict[str, Any]:
        return dict(self._made[1].ends)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        self.remember_caller()
        with kept_training_flag():
            return super().call(inputs, training=training, mask=mask)

    def features(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """All end points by name, for arrays or for KerasTensors.

        A feature pyramid is a choice of them: `features(images)["block2"]`.
        """
        return self.extractor()(inputs, training=training)

    def extractor(self) -> keras.Model:
        """A model with the same layers and all end points as its outputs."""
        if not self._extractor:
            model = keras.Model(self.input, self.end_points, name=f"{self.name}_features")
            self._extractor = (model,)
        return self._extractor[0]

    def split(self) -> tuple[keras.Model, keras.Model]:
        """The frozen prefix and the trainable suffix as two models that share the weights.

        `suffix(prefix(images))` equals the model. What passes between them is a dictionary.
        """
        between = boundary(self, self.stages, self._first_trainable)
        for name, tensor in between.items():
            if tensor is not self.input:
                tensor.name = name
        # Keras wants the inputs in a dictionary under the names of their tensors.
        between = {tensor.name: tensor for tensor in between.values()}
        prefix = keras.Model(self.input, between, name=f"{self.name}_frozen")
        # Keras finds no way from inputs to an output that is one of them.
        is_done = any(tensor is self.output for tensor in between.values())
        output = keras.layers.Identity()(self.output) if is_done else self.output
        suffix = keras.Model(between, output, name=f"{self.name}_trainable")
        return prefix, suffix

    def save_weights_as(self, path: str | Path, dialect: str | None = None) -> Path:
        """Writes the weights in the form of its publisher: names, shapes and bits.

        Torch counts training steps in `num_batches_tracked`; these are not kept, and torch, which
        does not miss them, begins at zero.

        Args:
            path: `x.ckpt` for slim (a TensorFlow checkpoint's prefix), `x.safetensors` or `x.pth`
                for torchvision.
            dialect: by default the one that the network was made for, which is the only one
                that computes the same.

        Returns:
            The path, as `open_checkpoint` takes it.

        Raises:
            WeightsError: another dialect, or one that is only read (Keras' `.h5`).
        """
        form = self.plan.dialect
        if self.plan.folded:
            raise WeightsError(
                f"The normalisations of model {self.name!r} are folded into its convolutions. "
                "Write the model that it was made from."
            )
        if dialect not in (None, form.name) or form.container is None:
            raise WeightsError(
                f"Model {self.name!r} is made for dialect {form.name!r}"
                + (
                    f". It cannot be written in dialect {dialect!r}, whose network computes "
                    "something else."
                    if form.container
                    else ", which is only read. Use model.save() or model.save_weights()."
                )
            )
        path = Path(path)
        values = {
            variable.path: keras.ops.convert_to_numpy(variable)
            for layer in self._made[1].layers.values()
            for variable in layer.weights
        }
        names = self.load_report.loaded if self.load_report else None
        tensors = save_weights(values, form.writing(self._made[1].layers), {}, names)
        container = "torch" if path.suffix in (".pth", ".pt") else form.container
        return write_checkpoint(path, tensors, container)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            **self.plan.config(),
            "trainable_from": self.trainable_from,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VisionModel:
        from keras_pretrained.applications.vision.making import make_model
        from keras_pretrained.applications.vision.plan import plan_of

        config = dict(config)
        name, trainable = config.pop("name"), config.pop("trainable", True)
        model = make_model(plan_of(config), name=name)
        model.trainable = trainable
        return model

    def _compiled_models(self) -> list[keras.Model]:
        return [self, *super()._compiled_models()]
