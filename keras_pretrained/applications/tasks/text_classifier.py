"""`TextClassifier`: texts or pairs of texts -> labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_pretrained.applications.tasks.classifier import Classifier
from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import TextTask
from keras_pretrained.finetune import NextTokenLoss
from keras_pretrained.layers.blocks.pooling import TextPooling
from keras_pretrained.layers.recurrent.awd_lstm import AWDLSTMEncoder
from keras_pretrained.layers.recurrent.ulmfit_classifier import ULMFiTClassifier
from keras_pretrained.layers.text.text_encoder import TextEncoder
from keras_pretrained.layers.transformers.gpt2 import GPT2Decoder


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
        next_token_loss: weight of the loss of a language model that is added in training, see
            `finetune.NextTokenLoss`; for GPT-2 alone, whose authors take 0.5 for GPT.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ...

    Material: `fit(texts, labels)` with lists of str; `fit(pairs, labels)` with a list of pairs, or
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
    [ULMFiT](https://arxiv.org/abs/1801.06146), section 3.3;
    [GPT](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf),
    section 3.2.
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
        next_token_loss: float = 0.0,
        name: str | None = None,
        **options: Any,
    ) -> None:
        labels = Labels.of(classes)
        encoder = text_encoder(source, pooling, options)
        chosen = activation
        if activation == "auto":
            chosen = "sigmoid" if multi_label else "softmax"
        inputs = encoder.symbolic_inputs()
        if next_token_loss:
            vector = _predicting(encoder, inputs, next_token_loss)
        else:
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
        self._next_token_loss = next_token_loss
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
            "next_token_loss": self._next_token_loss,
            "name": self.name,
        }


def _predicting(encoder: TextEncoder, inputs: Mapping[str, Any], weight: float) -> Any:
    """The vector of a text, from a decoder that learns to predict the next token, too.

    Raises:
        ValueError: a network without logits of the next token, or another hidden state.
    """
    if not isinstance(encoder, GPT2Decoder) or encoder.hidden_layers != -1:
        raise ValueError(
            "`next_token_loss` needs a GPT2Decoder, and its last hidden state. Received: layer "
            f"{encoder.name!r} of {type(encoder).__name__}"
        )
    found, mask = encoder.features(inputs), inputs["padding_mask"]
    vector = TextPooling(str(encoder.pooling))([found["hidden_states"][-1], mask])
    add = NextTokenLoss(weight, name="next_token_loss")
    return add([vector, found["logits"], inputs["token_ids"], mask])
