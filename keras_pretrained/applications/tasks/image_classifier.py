"""`ImageClassifier`: images -> labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_pretrained.applications.tasks.classifier import Classifier
from keras_pretrained.applications.tasks.image_batches import Example
from keras_pretrained.applications.tasks.image_source import (
    backbone_options,
    check_given,
    has_own_head,
    image_network,
    image_size,
    pools,
    preparation,
    sized,
)
from keras_pretrained.applications.tasks.image_task import Augmentation, ImageTask, of_image
from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.vision.imagenet import imagenet_labels
from keras_pretrained.applications.vision.images import prepare_images
from keras_pretrained.applications.vision.parts import ImageScaling
from keras_pretrained.layers.frozen_backbone import FrozenBackbone


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ImageClassifier(Classifier, ImageTask):
    """Images in; one label each, or several, out.

    A functional model on images of one size with values 0 to 255: the pretrained network without
    its classifier, the mean over its last feature map, dropout and a dense layer. Its outputs are
    probabilities.

    Args:
        source: a preset name; an image network of `keras_pretrained.applications` or any other
            `keras.Model`, of which a copy is taken; a `.keras` file or a SavedModel; or a
            `FrozenBackbone`.
        classes: their number, or their names, in the order of the outputs. Without names, those in
            the labels of the first `fit` are taken, sorted. None keeps the network's own
            classifier: of 1000 or 1001 classes, ImageNet's names are taken.
        size: height and width of the images that go in; by default those of the network.
        images: how images are prepared: the name of a preset, or a `presets.ImageSpec`; None for
            the preset's own way, or a plain resize where no preset is known.
        scaling: how values of 0 to 255 are scaled for a network that does not do it itself, such as
            most of `keras.applications`: `"inception"`, `"caffe"`, `"torch"` or `"vgg"`.
        multi_label: whether an image may have several labels or none.
        dropout: rate before the dense layer.
        activation: `"auto"` for probabilities: softmax, or a sigmoid for `multi_label`; None for
            logits.
        augment: a Keras layer that changes the images which train, at random, in the data: not in
            the graph. `keras.layers.Pipeline([...])` makes one of several.
        name: of the model.
        options: of the network: `trainable_from` and `keep_statistics` of `FrozenBackbone` (all
            is frozen by default), and of a preset's builder (`weights`, ...).

    Material: `fit(images, labels)` with a list of paths, Pillow images or arrays of any sizes, and
    names or numbers, for `multi_label` a list of them an image. Images are read batch by batch and
    prepared as those were that the network was trained on (`prepare_images`). An array (images,
    size, size, 3) goes to Keras as it is, with labels as numbers. `fit(shuffle=False)` keeps the
    order and does not augment. `predict(images)` returns labels, `predict_proba(images)` the
    outputs (images, classes), `predict_top(images, k)` the best labels with their outputs.

    Example:

    ```python
    classifier = ImageClassifier("mobilenet-v1-0.25-128", classes=["cat", "dog"])
    classifier.fit(["tom.jpg", "rex.jpg"], ["cat", "dog"], epochs=5)
    classifier.predict(["new.jpg"])
    classifier.save("classifier.keras")   # labels inside
    ```

    Raises:
        ValueError: a wrong argument, a network that takes no images, a file that cannot be read, or
            labels that do not fit.

    References: [DeCAF](https://arxiv.org/abs/1310.1531); [How transferable are features in deep
    neural networks?](https://arxiv.org/abs/1411.1792)
    """

    def __init__(
        self,
        source: Any,
        classes: int | Sequence[Label] | None = None,
        *,
        size: int | None = None,
        images: Any = None,
        scaling: str | None = None,
        multi_label: bool = False,
        dropout: float = 0.2,
        activation: Any = "auto",
        augment: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        backbone = _backbone(source, classes is None, size, options)
        spec = preparation(images, source, backbone)
        spec = sized(spec, *image_size(backbone, size, spec.size))
        inputs = keras.Input((spec.size, spec.size, 3), name="images")
        scaled = inputs if scaling is None else ImageScaling(scaling, name="scaling")(inputs)
        outputs = backbone(scaled)
        if has_own_head(backbone):
            labels = _own_labels(classes, outputs.shape[-1])
            activation = backbone.model.plan.classifier_activation
        else:
            labels = Labels.of(_given(classes, backbone))
            chosen = activation
            if activation == "auto":
                chosen = "sigmoid" if multi_label else "softmax"
            if len(outputs.shape) == 4:
                outputs = keras.layers.GlobalAveragePooling2D(name="pool")(outputs)
            outputs = keras.layers.Dropout(dropout, name="dropout")(outputs)
            outputs = keras.layers.Dense(len(labels), chosen, name="classifier")(outputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name or "image_classifier")
        self._labels = labels
        self._spec = spec
        self._scaling = scaling
        self._dropout = dropout
        self._activation = activation
        self._gives_logits = activation in (None, "linear")
        self.multi_label = multi_label
        self._augmentation = Augmentation(augment)

    @property
    def image_size(self) -> int:
        """Height and width of the images that go into the network."""
        return self._spec.size

    def loader(self, images: list[Any], y: Any) -> Callable[[int], Example]:
        targets = None if y is None else self.targets(y)

        def load(number: int) -> Example:
            try:
                image = prepare_images(self._spec, images[number])[0]
            except (TypeError, ValueError) as error:
                raise of_image(number, error) from error
            return (image,) if targets is None else (image, targets[number])

        return load

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "classes": self.labels,
            "images": dataclasses.asdict(self._spec),
            "scaling": self._scaling,
            "multi_label": self.multi_label,
            "dropout": self._dropout,
            "activation": self._activation,
            "augment": self.augment_config(),
            "name": self.name,
        }


def _backbone(source: Any, own_head: bool, size: int | None, options: Any) -> FrozenBackbone:
    if isinstance(source, FrozenBackbone):
        check_given(source, options)
        return source
    network = image_network(source, options, size, include_top=own_head)
    pooling = "avg" if pools(network) else None
    return FrozenBackbone(network, pooling=pooling, **backbone_options(options))


def _given(classes: int | Sequence[Label] | None, backbone: FrozenBackbone) -> Any:
    if classes is None:
        raise ValueError(
            f"Network {backbone.model.name!r} has no classifier of its own that is known. Pass "
            "`classes=`, their number or names, or a network of keras_pretrained.applications with "
            "include_top=True."
        )
    return classes


def _own_labels(classes: int | Sequence[Label] | None, columns: int) -> Labels:
    if classes is None:
        return Labels.of(imagenet_labels(columns) if columns in (1000, 1001) else columns)
    labels = Labels.of(classes)
    if len(labels) != columns:
        raise ValueError(
            f"The network has a classifier of its own, for {columns} classes. Received: "
            f"{len(labels)} classes. Give a network with include_top=False for others."
        )
    return labels
