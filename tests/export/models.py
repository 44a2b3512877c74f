"""Small models of every kind that is exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers import BertEncoder, FrozenBackbone, RobertaEncoder
from keras_pretrained.layers.transformers.bert import BertArchitecture
from keras_pretrained.tokenizers import ByteLevelBPETokenizer, WordPieceTokenizer

GOLDENS = Path(__file__).parents[1] / "goldens"
VOCABULARY, WIDTH, POSITIONS = 29, 8, 16
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghijkl",
    *(f"##{c}" for c in "abcdefghijkl"),
]
INPUTS = ("token_ids", "segment_ids", "padding_mask")


def bert(num_layers: int = 1, **kwargs: Any) -> BertEncoder:
    architecture = BertArchitecture(
        vocabulary_size=VOCABULARY,
        num_layers=num_layers,
        num_heads=2,
        hidden_size=WIDTH,
        intermediate_size=12,
        max_positions=POSITIONS,
        initializer_range=0.5,
    )
    return BertEncoder(architecture=architecture, **kwargs)


def ids() -> dict[str, Any]:
    return {name: keras.Input((None,), dtype="int32", name=name) for name in INPUTS}


def classifier(**kwargs: Any) -> keras.Model:
    """An encoder, pooled unless said otherwise, with a task layer."""
    inputs = ids()
    encoder = bert(**{"pooling": "mean", **kwargs})
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(encoder(inputs)))


def texts(name: str = "review") -> Any:
    return keras.Input((), dtype="string", name=name)


def reader(**kwargs: Any) -> BertEncoder:
    """An encoder with a vocabulary."""
    tokenizer = WordPieceTokenizer(PIECES, max_length=POSITIONS)
    return bert(**{"tokenizer": tokenizer, "pooling": "mean", **kwargs})


def python_reader(folder: str = "roberta/hf", layer: Any = RobertaEncoder, **kwargs: Any) -> Any:
    """An encoder whose tokenizer runs in Python."""
    tokenizer = ByteLevelBPETokenizer.from_folder(GOLDENS / folder, max_length=12)
    architecture = {
        "vocabulary_size": tokenizer.vocabulary_size,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_size": WIDTH,
        "intermediate_size": 12,
        "max_positions": POSITIONS,
    }
    options = {"tokenizer": tokenizer, "max_length": 12, "pooling": "mean", **kwargs}
    return layer(architecture=architecture, **options)


def text_classifier(**kwargs: Any) -> keras.Model:
    inputs = texts()
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(reader(**kwargs)(inputs)))


def reading_classifier() -> keras.Model:
    """On ids, with a vocabulary."""
    inputs = ids()
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(reader()(inputs)))


def two_encoders() -> keras.Model:
    """A pair and a single text at encoders of their own, inside a nested model, and a number."""
    first, second, number = texts("title"), texts("body"), keras.Input((1,), name="stars")
    inner_texts = texts("inner")
    nested = keras.Model(inner_texts, reader(pooling="cls", name="single")(inner_texts))
    inputs = {"title": first, "body": second, "stars": number}
    parts = [reader(name="pairs")((first, second)), nested(second), number]
    joined = keras.layers.Concatenate()(parts)
    return keras.Model(inputs, {"scores": keras.layers.Dense(2)(joined)})


def some_outputs() -> keras.Model:
    """Outputs that are made in different ways, in one model."""
    inputs = ids()
    outputs = {
        "pooled": bert(pooling="mean-max")(inputs),
        "listed": bert(hidden_layers=[-1, 0])(inputs),
        "mix": bert(hidden_layers="mix", trainable_from=None)(inputs),
        "features": bert(trainable_from="layer_0").features(inputs),
    }
    return keras.Model(inputs, outputs)


def all_outputs() -> keras.Model:
    """Every kind of output that a text encoder has, in one model."""
    inputs = ids()
    outputs = {
        f"pooled_{pooling.replace('-', '_')}": bert(pooling=pooling)(inputs)
        for pooling in ("cls", "pooler", "mean", "max", "mean-max", "last")
    }
    outputs["tokens"] = bert()(inputs)
    outputs["embeddings"] = bert(hidden_layers=0)(inputs)
    outputs["listed"] = bert(2, hidden_layers=[-2, 0])(inputs)
    outputs["all"] = bert(2, hidden_layers="all", pooling="mean")(inputs)
    outputs["mix"] = bert(2, hidden_layers="mix", trainable_from=None)(inputs)
    outputs["features"] = bert(2, trainable_from=1).features(inputs)
    return keras.Model(inputs, outputs)


def backbone(size: int | None = 12) -> keras.Model:
    """A frozen convolutional network with a task layer."""
    images = keras.Input((size, size, 3), name="images")
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="root")(images)
    x = keras.layers.BatchNormalization(name="root_norm")(x)
    x = keras.layers.ReLU(name="root_relu")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = keras.layers.Conv2D(6, 1, name="tail")(x)
    source = keras.Model(images, x)
    random = np.random.default_rng(0)
    source.get_layer("root_norm").set_weights(random.uniform(0.5, 2, (4, 4)).astype("float32"))
    inputs = keras.Input((size, size, 3), name="images")
    frozen = FrozenBackbone(source, trainable_from="tail", pooling="avg")
    return keras.Model(inputs, keras.layers.Dense(5, name="logits")(frozen(inputs)))


def dense() -> keras.Model:
    """The smallest model: for what does not depend on the network."""
    return keras.Sequential(
        [keras.Input((4,), name="numbers"), keras.layers.Dense(2, name="result")]
    )


@keras.saving.register_keras_serializable(package="tests")
class OffInGraphs(keras.layers.Layer):
    """Computes something else in a traced function: an artefact of it is wrong."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return inputs + 0.25 if tf.inside_function() else inputs


def wrong_when_exported() -> keras.Model:
    inputs = keras.Input((4,), name="numbers")
    return keras.Model(inputs, OffInGraphs(name="result")(inputs))


def batch(rows: int = 3, length: int = 7, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.ones((rows, length), "int32")
    mask[1:, length - 2 :] = 0
    return {
        "token_ids": random.integers(1, VOCABULARY, (rows, length)).astype("int32") * mask,
        "segment_ids": random.integers(0, 2, (rows, length)).astype("int32") * mask,
        "padding_mask": mask,
    }
