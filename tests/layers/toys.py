"""Small networks of different architecture, each with the stages its kind has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers import (
    AlbertEncoder,
    AWDLSTMEncoder,
    BertEncoder,
    DistilBertEncoder,
    ElectraEncoder,
    FrozenBackbone,
    GPT2Decoder,
    RobertaEncoder,
)
from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.blocks.attention import key_mask_bias
from keras_pretrained.layers.blocks.block import BatchNormalization, Block
from keras_pretrained.layers.blocks.transformer import TransformerBlock
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State

VOCABULARY, WIDTH = 23, 8
package = keras.saving.register_keras_serializable(package="toys")


class Conv(Block, keras.layers.Conv2D):
    pass


class Table(Block, keras.layers.Embedding):
    pass


class Toy(PretrainedLayer):
    """Declares its stages from `_stages()`; integer tokens in, unless said otherwise."""

    def __init__(self, trainable_from: Depth = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._create_layers()
        self.declare(self._stages(), trainable_from)
        self.create()

    def _create_layers(self) -> None:
        raise NotImplementedError

    def _stages(self) -> list[Stage]:
        raise NotImplementedError

    def begin(self, inputs: Any) -> State:
        return {"hidden": inputs}

    def finish(self, state: State, call: StageCall) -> Any:
        return state["hidden"]

    def symbolic_inputs(self) -> Any:
        return keras.Input((None,), dtype="int32", name="tokens")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "trainable_from": self.trainable_from}


def through(layer: Any) -> Any:
    """A stage that maps the hidden state by one layer."""

    def run(state: State, call: StageCall) -> State:
        return {**state, "hidden": layer(state["hidden"], training=call.training)}

    return run


def plain(layer: Any) -> Any:
    """The same for a layer without a training argument."""
    return lambda state, call: {**state, "hidden": layer(state["hidden"])}


@package
class SharedLayerEncoder(Toy):
    """Like ALBERT: one block applied three times is one stage."""

    def _create_layers(self) -> None:
        self.table = Table(VOCABULARY, WIDTH, name="table")
        self.block = TransformerBlock(2, 16, dropout=0.1, name="block")

    def _stages(self) -> list[Stage]:
        def repeated(state: State, call: StageCall) -> State:
            hidden = state["hidden"]
            bias = key_mask_bias(keras.ops.ones_like(hidden[:, :, 0]), "float32")
            for _ in range(3):
                hidden = self.block(hidden, bias, training=call.training)
            return {**state, "hidden": hidden}

        return [
            Stage("stem", (self.table,), plain(self.table)),
            Stage("layer_0", (self.block,), repeated),
        ]

    def build_network(self) -> None:
        self.table.build((None, None))
        self.block.build((None, None, WIDTH))


@package
class TiedDecoder(Toy):
    """Its output layer reads the embedding table, which belongs to the stem."""

    def _create_layers(self) -> None:
        self.table = Table(VOCABULARY, WIDTH, name="table")
        self.blocks = [TransformerBlock(2, 16, dropout=0.1, name=f"layer_{i}") for i in range(3)]
        self.use_heads()

    def _stages(self) -> list[Stage]:
        def block(index: int) -> Any:
            def run(state: State, call: StageCall) -> State:
                hidden = state["hidden"]
                length = keras.ops.shape(hidden)[1]
                later = keras.ops.triu(keras.ops.ones((length, length)), 1)
                bias = later[None, None] * -1e4
                return {
                    **state,
                    "hidden": self.blocks[index](hidden, bias, training=call.training),
                }

            return run

        def logits(state: State, call: StageCall) -> State:
            table = keras.ops.transpose(self.table.embeddings)
            return {**state, "hidden": keras.ops.matmul(state["hidden"], table)}

        return [
            Stage("stem", (self.table,), plain(self.table)),
            *(Stage(f"layer_{i}", (self.blocks[i],), block(i)) for i in range(3)),
            Stage("logits", (self.table,), logits, head=True),
        ]

    def build_network(self) -> None:
        self.table.build((None, None))
        for block in self.blocks:
            block.build((None, None, WIDTH))


@package
class RecurrentEncoder(Toy):
    """Two bidirectional recurrent layers."""

    def _create_layers(self) -> None:
        self.table = Table(VOCABULARY, WIDTH, name="table")
        self.recurrent = []
        for index in range(2):
            cell = keras.layers.SimpleRNNCell(WIDTH // 2, dropout=0.1)
            rnn = keras.layers.RNN(cell, return_sequences=True)
            self.recurrent.append(keras.layers.Bidirectional(rnn, name=f"layer_{index}"))

    def _stages(self) -> list[Stage]:
        return [
            Stage("stem", (self.table,), plain(self.table)),
            *(Stage(f"layer_{i}", (rnn,), through(rnn)) for i, rnn in enumerate(self.recurrent)),
        ]

    def build_network(self) -> None:
        self.table.build((None, None))
        for rnn in self.recurrent:
            rnn.build((None, None, WIDTH))


@package
class ConvolutionalNetwork(Toy):
    """Convolutions with batch normalisation; images in."""

    def _create_layers(self) -> None:
        self.convolutions = [
            Conv(4 * (index + 1), 3, padding="same", name=f"conv_{index}") for index in range(4)
        ]
        self.norms = [BatchNormalization(name=f"norm_{index}") for index in range(4)]

    def _stages(self) -> list[Stage]:
        def stage(index: int) -> Stage:
            conv, norm = self.convolutions[index], self.norms[index]

            def run(state: State, call: StageCall) -> State:
                hidden = norm(conv(state["hidden"]), training=call.training)
                return {**state, "hidden": keras.ops.relu(hidden)}

            return Stage("stem" if index == 0 else f"block{index}", (conv, norm), run)

        return [stage(index) for index in range(4)]

    def build_network(self) -> None:
        channels = 3
        for conv, norm in zip(self.convolutions, self.norms, strict=True):
            conv.build((None, None, None, channels))
            channels = conv.filters
            norm.build((None, None, None, channels))

    def symbolic_inputs(self) -> Any:
        return keras.Input((6, 6, 3), name="images")


def branched_model() -> keras.Model:
    """Two branches with batch normalisation and dropout that meet, and a tail."""
    inputs = keras.Input((6, 6, 3), name="images")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", name="root")(x)
    left = keras.layers.Conv2D(4, 1, name="left")(x)
    left = keras.layers.BatchNormalization(name="left_norm")(left)
    right = keras.layers.Conv2D(4, 3, padding="same", name="right")(x)
    right = keras.layers.BatchNormalization(name="right_norm")(right)
    x = keras.layers.Add(name="join")([keras.layers.ReLU()(left), right])
    x = keras.layers.Dropout(0.1, name="dropout")(x)
    outputs = keras.layers.Conv2D(6, 1, name="tail")(x)
    return keras.Model(inputs, outputs, name="branched")


@dataclass(frozen=True)
class Case:
    """A toy and what the depth table says of it; its output may depend on some of its heads.

    One that is `like` another shares its code, and repeats its slow tests in complete runs only.
    """

    name: str
    make: Any
    stages: tuple[str, ...]
    blocks: tuple[str, ...]
    images: bool = False
    heads_in_use: tuple[str, ...] = ()
    like: str = ""

    def inputs(self, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        if self.images:
            return random.uniform(0, 255, (4, 6, 6, 3)).astype("float32")
        return random.integers(1, VOCABULARY, (4, 5)).astype("int32")


def make_encoder(
    layer: Any, architecture_changes: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """BERT or one of its relatives, with random weights."""
    architecture = {
        "vocabulary_size": VOCABULARY,
        "num_layers": 3,
        "num_heads": 2,
        "hidden_size": WIDTH,
        "intermediate_size": 16,
        "max_positions": 12,
        "initializer_range": 0.3,
        **(architecture_changes or {}),
    }
    return layer(architecture=architecture, **kwargs)


make_bert = partial(make_encoder, BertEncoder)


def make_awd_lstm(**kwargs: Any) -> AWDLSTMEncoder:
    """AWD-LSTM with random weights; of one layer, because loops take seconds to trace."""
    sizes = {"vocabulary_size": VOCABULARY, "embedding_size": WIDTH, "num_layers": 1}
    return AWDLSTMEncoder(architecture=sizes, **kwargs)


CASES = (
    Case(
        "bert",
        make_bert,
        ("stem", "layer_0", "layer_1", "layer_2", "pooler"),
        ("layer_0", "layer_1", "layer_2"),
    ),
    *(
        Case(
            name,
            partial(make_encoder, layer),
            ("stem", "layer_0", "layer_1", "layer_2"),
            ("layer_0", "layer_1", "layer_2"),
            like="bert",
        )
        for name, layer in (
            ("roberta", RobertaEncoder),
            ("distilbert", DistilBertEncoder),
            ("electra", ElectraEncoder),
        )
    ),
    Case(
        "albert",
        partial(make_encoder, AlbertEncoder, {"embedding_size": 6}),
        ("stem", "layer_0", "pooler"),
        ("layer_0",),
        like="albert-groups",
    ),
    Case(
        "albert-groups",
        partial(make_encoder, AlbertEncoder, {"embedding_size": 6, "num_groups": 2}),
        ("stem", "layer_0", "layer_1", "pooler"),
        ("layer_0", "layer_1"),
    ),
    Case(
        "gpt2",
        partial(make_encoder, GPT2Decoder),
        ("stem", "layer_0", "layer_1", "layer_2", "final_norm", "logits"),
        ("layer_0", "layer_1", "layer_2"),
        heads_in_use=("final_norm",),
    ),
    Case(
        "awd-lstm",
        make_awd_lstm,
        ("stem", "layer_0", "decoder"),
        ("layer_0",),
    ),
    Case("shared-layer", SharedLayerEncoder, ("stem", "layer_0"), ("layer_0",)),
    Case(
        "tied-decoder",
        TiedDecoder,
        ("stem", "layer_0", "layer_1", "layer_2", "logits"),
        ("layer_0", "layer_1", "layer_2"),
    ),
    Case("recurrent", RecurrentEncoder, ("stem", "layer_0", "layer_1"), ("layer_0", "layer_1")),
    Case(
        "convolutional",
        ConvolutionalNetwork,
        ("stem", "block1", "block2", "block3"),
        ("block1", "block2", "block3"),
        images=True,
    ),
    Case(
        "branched-model",
        lambda **kwargs: FrozenBackbone(branched_model(), keep_statistics=False, **kwargs),
        ("root", "left", "right", "tail"),
        ("root", "left", "right", "tail"),
        images=True,
    ),
)
