"""`TextClassifier`: texts or pairs of texts -> labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_pretrained.applications.tasks.classifier import Classifier
from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import TextTask
from keras_pretrained.layers.recurrent.awd_lstm import AWDLSTMEncoder
from keras_pretrained.layers.recurrent.ulmfit_classifier import ULMFiTClassifier


@keras.saving.register_keras_serializable(package="keras_pretrained")
class TextClassifier(Classifier, TextTask):
    """Texts, or pairs of texts, in; one label each, or several, out.

    A functional model on token ids: the pretrained encoder with its vector of a text, dropout and
    a dense layer (ULMFiT's own head behind its encoder). Its output are probabilities.

    Args:
        source: a preset name, a path, or a text layer with `pooling`.
        classes: their number, or their names, in the order of the outputs. Without names, those in
            the labels of the first `fit` are taken, sorted.
        pairs: whether an example is a pair of texts.
        multi_label: whether a text may have several labels or none.
        dropout: rate before the dense layer.
        activation: `"auto"` for probabilities: softmax, or a sigmoid for `multi_label`; None for
            logits.
        pooling: the vector of a text; `"auto"` for the one that the authors of the checkpoint put
            a classifier on.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ...

    Material: `fit(texts, labels)` with lists of str; `fit(pairs, labels)` with a list of tuples, or
    a tuple of two lists; labels are names or numbers, for `multi_label` a list of them a text.
    `predict(texts)` returns labels, `predict_proba(texts)` the outputs (texts, classes).

    Example:

    ```python
    classifier = TextClassifier("minilm-l6", classes=["bad", "good"], trainable_from=3)
    classifier.fit(["A fine film.", "A dull film."], ["good", "bad"], epochs=3)
    classifier.predict(["What a fine film!"])
    classifier.save("classifier.keras")   # labels and vocabulary inside
    ```

    Raises:
        ValueError: a wrong argument, a source that is none, or labels that do not fit.

    References: [BERT](https://arxiv.org/abs/1810.04805), section 4.1;
    [ULMFiT](https://arxiv.org/abs/1801.06146), section 3.3.
    """

    def __init__(
        self,
        source: Any,
        classes: int | Sequence[Label],
        *,
        pairs: bool = False,
        multi_label: bool = False,
        dropout: float = 0.1,
        activation: Any = "auto",
        pooling: str = "auto",
        name: str | None = None,
        **options: Any,
    ) -> None:
        labels = Labels.of(classes)
        encoder = text_encoder(source, pooling, options)
        chosen = activation
        if activation == "auto":
            chosen = "sigmoid" if multi_label else "softmax"
        inputs = encoder.symbolic_inputs()
        vector = encoder(inputs)
        if isinstance(encoder, AWDLSTMEncoder):
            head: Any = ULMFiTClassifier(len(labels), activation=chosen, name="classifier")
        else:
            vector = keras.layers.Dropout(dropout, name="dropout")(vector)
            head = keras.layers.Dense(len(labels), activation=chosen, name="classifier")
        super().__init__(inputs=inputs, outputs=head(vector), name=name or "text_classifier")
        self._labels = labels
        self.pairs = pairs
        self.multi_label = multi_label
        self._dropout = dropout
        self._activation = activation
        self._gives_logits = activation is None

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "classes": self.labels,
            "pairs": self.pairs,
            "multi_label": self.multi_label,
            "dropout": self._dropout,
            "activation": self._activation,
            "name": self.name,
        }
