"""`TokenClassifier`: the words of texts -> a tag each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.entities import TagScores, tag_scores
from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.tasks.published_head import published_head
from keras_pretrained.applications.tasks.tagging import TagRows, tag_rows
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import row_batches
from keras_pretrained.applications.tasks.window_task import WindowTask

_HEAD = (("classifier.weight", "classifier.bias"),)


@keras.saving.register_keras_serializable(package="keras_pretrained")
class TokenClassifier(WindowTask):
    """Words in, a tag for each out: names of people and places, parts of speech, ...

    A functional model on token ids: the pretrained encoder, dropout and a dense layer. Its output
    are probabilities (batch, length, classes), one row a token. The first token of a word carries
    the word's tag; the others have the weight 0. A text that is longer than the encoder's
    `max_length` is read in windows, so that each of its words has a tag.

    Args:
        source: a preset name, a path, or a text layer without `pooling`.
        classes: the tags, or their number, in the order of the outputs. Without names, those in the
            tags of the first `fit` are taken, sorted. None keeps the head and the tags of a
            checkpoint that was fine-tuned to tag words (Hugging Face's `ForTokenClassification`).
        dropout: rate before the dense layer.
        activation: `"auto"` for probabilities; None for logits.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ...

    Material: `fit(texts, tags)` where each text is a list of words and its tags a list as long; a
    text that is one str is split at white space. `sample_weight` has one number a text, or a list
    of one a word. `predict(texts)` returns a list of tags for each text, `predict_proba` arrays
    (words, classes). `score(texts, tags)` gives precision, recall and F1 of entities.

    Example:

    ```python
    tagger = TokenClassifier("minilm-l6", classes=["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    tagger.fit([["Ada", "lived", "in", "London"]], [["B-PER", "O", "O", "B-LOC"]], epochs=3)
    tags = tagger.predict(["Grace Hopper lived in Arlington"])
    entities("Grace Hopper lived in Arlington".split(), tags[0])
    ```

    Raises:
        ValueError: a wrong argument, or tags that do not fit the words.

    Reference: [BERT](https://arxiv.org/abs/1810.04805), section 5.3.
    """

    serves_words = True
    """An exported model on texts gives one row a word between white space."""

    def __init__(
        self,
        source: Any,
        classes: int | Sequence[Label] | None,
        *,
        dropout: float = 0.1,
        activation: Any = "auto",
        name: str | None = None,
        **options: Any,
    ) -> None:
        published = None
        if classes is None:
            published = published_head(source, options, _HEAD, "TokenClassification")
            if published is None:
                raise ValueError(
                    "`classes=None` keeps the head of a checkpoint that was fine-tuned to tag "
                    f"words, and {source!r} holds none. Pass the tags: classes=[...]."
                )
            classes = published.labels or len(published.bias)
        labels = Labels.of(classes)
        encoder = text_encoder(source, None, options)
        inputs = encoder.symbolic_inputs()
        vectors = keras.layers.Dropout(dropout, name="dropout")(encoder(inputs))
        chosen = "softmax" if activation == "auto" else activation
        head = keras.layers.Dense(len(labels), activation=chosen, name="classifier")
        super().__init__(inputs=inputs, outputs=head(vectors), name=name or "token_classifier")
        if published is not None:
            head.set_weights([published.kernel, published.bias])
        self._labels = labels
        self._dropout = dropout
        self._activation = activation

    @property
    def labels(self) -> list[Label]:
        """The tags in the order of the outputs."""
        return list(self._labels.names)

    def default_loss(self) -> Any:
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=self._activation is None, reduction="mean_with_sample_weight"
        )

    def default_metrics(self) -> list[Any]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    # --- material -------------------------------------------------------------------------------

    def is_material(self, x: Any) -> bool:
        if isinstance(x, str):
            raise TypeError(f"Expected a list of texts. Received one text: {x[:40]!r}")
        if isinstance(x, np.ndarray):
            return x.dtype.kind in "UO"
        if not isinstance(x, list):
            return False
        lists = (list, tuple, np.ndarray)
        first = next((text for text in x if not isinstance(text, lists) or len(text)), "")
        return isinstance(first[0] if isinstance(first, lists) else first, str)

    def texts(self, x: Any) -> list[list[str]]:
        """Material as lists of words.

        Raises:
            TypeError: something that is no word.
        """
        found = [text.split() if isinstance(text, str) else list(text) for text in x]
        for number, words in enumerate(found):
            for word in words:
                if not isinstance(word, str):
                    raise TypeError(f"Text {number}: expected words. Received: {word!r}")
        return found

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        texts = self.texts(x)
        lengths = [len(words) for words in texts]
        if not any(lengths):
            raise ValueError("Expected at least one word. Received: none")
        tags = self._numbers(lengths, y)
        weights = np.concatenate(_by_word(sample_weight, lengths))
        rows = tag_rows(self.tokenizer, texts)
        carries = rows.words >= 0
        return row_batches(
            self.inputs_of(rows.arrays),
            np.where(carries, tags[rows.words], 0),
            np.where(carries, weights[rows.words], 0),
            batch_size,
            training,
            per_token=True,
        )

    def weighted(self, y: Any, sample_weight: Any, class_weight: Mapping[Any, float] | None) -> Any:
        if class_weight is None:
            return sample_weight
        lengths = [len(tags) for tags in y]
        by_class = np.ones(len(self._labels), "float32")
        tags = self._numbers(lengths, y)
        by_class[self._labels.numbers(class_weight)] = [*class_weight.values()]
        weights = by_class[tags] * np.concatenate(_by_word(sample_weight, lengths))
        return np.split(weights, np.cumsum(lengths)[:-1])

    # --- answers --------------------------------------------------------------------------------

    def predict_proba(
        self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any
    ) -> list[np.ndarray]:
        """The network's outputs for the words of each text: float32 (words, classes)."""
        return self.outputs_of(x, batch_size, **kwargs)

    def outputs_of(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[np.ndarray]:
        texts = self.texts(x)
        bounds = np.cumsum([len(words) for words in texts])
        found = np.zeros((bounds[-1] if len(bounds) else 0, len(self._labels)), "float32")
        if len(found):
            rows: TagRows = tag_rows(self.tokenizer, texts)
            arrays = self.inputs_of(rows.arrays)
            for places, outputs in self.row_outputs(arrays, batch_size, **kwargs):
                words = rows.words[places, : outputs.shape[1]]
                found[words[words >= 0]] = outputs[words >= 0]
        return np.split(found, bounds[:-1]) if texts else []

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[list[Label]]:
        names = self.labels
        return [
            [names[number] for number in outputs.argmax(axis=-1)]
            for outputs in self.outputs_of(x, batch_size, **kwargs)
        ]

    def score(self, x: Any, y: Any, batch_size: int = BATCH_SIZE) -> TagScores:
        """Precision, recall and F1 of the entities in texts; of tags, where they mark none.

        The numbers are seqeval's. `print` shows a table, one line a type.

        Args:
            x, y: texts and their tags, as for `fit`.
        """
        self._numbers([len(words) for words in self.texts(x)], y)
        return tag_scores(y, self.answers(x, batch_size))

    def _numbers(self, lengths: Sequence[int], y: Any) -> np.ndarray:
        """int32 (words of all texts,): the class of each tag."""
        if y is None or len(y) != len(lengths):
            received = "none" if y is None else f"{len(y)} lists"
            raise ValueError(
                f"Expected a list of tags for each of {len(lengths)} texts. Received: {received}"
            )
        for number, (tags, length) in enumerate(zip(y, lengths, strict=True)):
            if isinstance(tags, str) or len(tags) != length:
                raise ValueError(
                    f"Text {number} has {length} words. Expected a list of as many tags. "
                    f"Received: {tags!r}"
                )
        self._labels = self._labels.named_by(tag for tags in y for tag in tags)
        found = []
        for number, tags in enumerate(y):
            try:
                found.append(self._labels.numbers(tags))
            except ValueError as error:
                raise ValueError(f"Text {number}: {error}") from None
        return np.concatenate([*found, np.zeros(0, "int32")])

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "classes": self.labels,
            "dropout": self._dropout,
            "activation": self._activation,
            "name": self.name,
        }


def _by_word(sample_weight: Any, lengths: Sequence[int]) -> list[np.ndarray]:
    """The weights of the words of each text.

    Raises:
        ValueError: neither one a text, nor one a word.
    """
    given = np.ones(len(lengths)) if sample_weight is None else sample_weight
    if len(given) != len(lengths):
        raise ValueError(f"Received {len(lengths)} texts and {len(given)} weights.")
    found = []
    for number, (weight, length) in enumerate(zip(given, lengths, strict=True)):
        own = np.asarray(weight, "float32")
        if own.shape not in ((), (length,)):
            raise ValueError(
                f"Text {number} has {length} words. Expected one weight, or one a word. "
                f"Received: {weight!r}"
            )
        found.append(np.broadcast_to(own, (length,)))
    return [*found, np.zeros(0, "float32")]
