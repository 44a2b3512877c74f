"""The encoder of BERT and its relatives: tables, post-norm blocks, perhaps a pooler."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import keras

from keras_pretrained.layers.blocks.attention import key_mask_bias
from keras_pretrained.layers.blocks.block import Dense
from keras_pretrained.layers.blocks.embedding import Embeddings
from keras_pretrained.layers.blocks.packing import (
    TEXT_STARTS,
    first_tokens,
    other_text_bias,
    positions_in_texts,
    text_numbers,
)
from keras_pretrained.layers.blocks.transformer import ACTIVATIONS, TransformerBlock
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State
from keras_pretrained.layers.text.encoder_source import (
    Source,
    SourceReader,
    read_source,
)
from keras_pretrained.layers.text.text_encoder import HiddenLayers, TextEncoder
from keras_pretrained.tokenizers import Tokenizer
from keras_pretrained.weights import WeightMap


@dataclass(frozen=True)
class EncoderArchitecture:
    """The numbers that make an encoder.

    Args:
        vocabulary_size: rows of the token table.
        num_layers: transformer blocks.
        num_heads: attention heads; divides the hidden size.
        hidden_size: width of a hidden state.
        intermediate_size: width of the feed-forward layers.
        max_positions: the longest input.
        num_segments: rows of the segment table; 0 for none.
        activation: `"gelu"` (exact, by the error function), `"gelu_tanh"` or `"relu"`.
        dropout: rate behind the embeddings and in the blocks.
        attention_dropout: rate on the attention probabilities.
        layer_norm_epsilon: of every layer normalisation.
        initializer_range: standard deviation of random weights.
        pooler: whether the original pooler is there.
        pad_id: the id that stands for padding when no mask is given.
    """

    vocabulary_size: int
    num_layers: int
    num_heads: int
    hidden_size: int
    intermediate_size: int
    max_positions: int = 512
    num_segments: int = 2
    activation: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_epsilon: float = 1e-12
    initializer_range: float = 0.02
    pooler: bool = True
    pad_id: int = 0

    def __post_init__(self) -> None:
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ValueError(
                "hidden_size must be a multiple of num_heads. "
                f"Received: hidden_size={self.hidden_size}, num_heads={self.num_heads}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}. Received: {self.activation!r}"
            )

    def dims(self) -> dict[str, int]:
        """The sizes that weight maps refer to by name."""
        return {
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "head_size": self.hidden_size // self.num_heads,
            "hidden_size": self.hidden_size,
        }


class TransformerEncoder(TextEncoder):
    """What the families of this architecture share; see `BertEncoder` for the arguments.

    A family is a subclass with the class attributes below, and with `create_embeddings`,
    `create_blocks` and the like where it differs.

    Attributes:
        architecture_class: its numbers and their defaults.
        reader: how its published files are read.
        tokenizer_class: its tokenizer.
        config_files: dialect -> the name of its configuration file.
        masked_lm_maps: the dialects in which a checkpoint may hold the masked language model's
            head; see `MaskedLMHead`.
    """

    architecture_class: ClassVar[type[EncoderArchitecture]] = EncoderArchitecture
    reader: ClassVar[SourceReader]
    config_files: ClassVar[Mapping[str, str]] = MappingProxyType({"hf": "config.json"})
    masked_lm_maps: ClassVar[Sequence[WeightMap]] = ()

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        trainable_from: Depth = 0,
        pooling: str | None = None,
        hidden_layers: HiddenLayers = -1,
        max_length: int | None = None,
        weights: str | os.PathLike[str] | None = "auto",
        dialect: str = "auto",
        lowercase: bool | None = None,
        architecture: EncoderArchitecture | Mapping[str, Any] | None = None,
        tokenizer: Tokenizer | Mapping[str, Any] | None = None,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        found, made = read_source(type(self), source, weights, dialect, architecture)
        self.architecture = made
        self.preset = found.preset if found.preset is not None else preset
        self.max_length = self._checked_length(max_length)
        self.configure_outputs(made.num_layers, pooling, hidden_layers, made.pooler)
        self.configure_tokenizer(tokenizer or self.source_tokenizer(found, lowercase))
        self._create_layers()
        self.declare(self._stages(), trainable_from)
        self.create(self.architecture.dims(), found.checkpoint, found.weight_map)

    # --- what families may change -----------------------------------------------------------

    def create_embeddings(self, **options: Any) -> Any:
        """The stem: `(token_ids, segment_ids, padding_mask, training)` -> hidden states.

        Args:
            options: of `Embeddings`, where a family has more of them.
        """
        made = self.architecture
        return Embeddings(
            made.vocabulary_size,
            made.max_positions,
            made.num_segments,
            made.hidden_size,
            epsilon=made.layer_norm_epsilon,
            dropout=made.dropout,
            initializer=self.new_initializer(),
            position_offset=self.position_offset,
            dtype=self.dtype_policy,
            name="embeddings",
            **options,
        )

    def create_block(self, index: int, **options: Any) -> Any:
        """The block of stage `layer_{index}`.

        Args:
            options: of `TransformerBlock`, where a family has more of them.
        """
        made = self.architecture
        return TransformerBlock(
            made.num_heads,
            made.intermediate_size,
            activation=made.activation,
            dropout=made.dropout,
            attention_dropout=made.attention_dropout,
            epsilon=made.layer_norm_epsilon,
            kernel_initializer=self.new_initializer(),
            dtype=self.dtype_policy,
            name=f"layer_{index}",
            **options,
        )

    @property
    def position_offset(self) -> int:
        """Rows of the position table that are no positions; see `Embeddings`."""
        return 0

    @property
    def block_of(self) -> list[int]:
        """For each transformer layer the number of the stage whose weights it uses."""
        return list(range(self.architecture.num_layers))

    def source_tokenizer(self, found: Source, lowercase: bool | None) -> Tokenizer | None:
        """The tokenizer that the source's files make, or None without them."""
        raise NotImplementedError

    def new_initializer(self) -> Any:
        """Of all projections and tables, when the weights are random."""
        return keras.initializers.TruncatedNormal(stddev=self.architecture.initializer_range)

    # --- stages -----------------------------------------------------------------------------

    def _create_layers(self) -> None:
        made = self.architecture
        self.embeddings = self.create_embeddings()
        self.blocks = [self.create_block(index) for index in sorted(set(self.block_of))]
        self.pooler = None
        if made.pooler:
            self.pooler = Dense(
                made.hidden_size,
                activation="tanh",
                kernel_initializer=self.new_initializer(),
                dtype=self.dtype_policy,
                name="pooler",
            )

    def _stages(self) -> list[Stage]:
        stages = [Stage("stem", (self.embeddings,), self._embed)]
        for index, block in enumerate(self.blocks):
            stages.append(Stage(f"layer_{index}", (block,), partial(self._run_stage, index)))
        if self.pooler is not None:
            stages.append(Stage("pooler", (self.pooler,), self._pool, head=True))
        return stages

    def build_network(self) -> None:
        shape = (None, None, self.architecture.hidden_size)
        self.embeddings.build()
        for block in self.blocks:
            block.build(shape)
        if self.pooler is not None:
            self.pooler.build((None, self.architecture.hidden_size))

    def _embed(self, state: State, call: StageCall) -> State:
        passed = {name: state[name] for name in ("padding_mask", TEXT_STARTS) if name in state}
        positions = None
        if TEXT_STARTS in state:
            length = keras.ops.shape(state["token_ids"])[1]
            positions = positions_in_texts(state[TEXT_STARTS], length) + self.position_offset
        hidden = self.embeddings(
            state["token_ids"],
            state.get("segment_ids"),
            state["padding_mask"],
            training=call.training,
            positions=positions,
        )
        return self.record({"hidden": hidden, **passed}, 0, call)

    def _run_stage(self, stage: int, state: State, call: StageCall) -> State:
        bias = self.attention_bias(state)
        for index, block in enumerate(self.block_of):
            if block == stage:
                state = self._run_block(index, bias, state, call)
        return state

    def attention_bias(self, state: State) -> Any:
        """What is added to the attention scores (batch, heads, queries, keys)."""
        bias = key_mask_bias(state["padding_mask"], "float32")
        if TEXT_STARTS in state:
            length = keras.ops.shape(state["padding_mask"])[1]
            bias = bias + other_text_bias(text_numbers(state[TEXT_STARTS], length), "float32")
        return bias

    def _run_block(self, index: int, bias: Any, state: State, call: StageCall) -> State:
        block = self.blocks[self.block_of[index]]
        result = block(state["hidden"], bias, training=call.training, return_scores=call.features)
        state = dict(state)
        if call.features:
            result, state[f"attention_{index}"] = result
        state["hidden"] = result
        return self.record(state, index + 1, call)

    def _pool(self, state: State, call: StageCall) -> State:
        pooler: Any = self.pooler
        hidden = state["hidden"]
        packed = TEXT_STARTS in state
        first = first_tokens(hidden, state[TEXT_STARTS]) if packed else hidden[:, 0]
        return {**state, "pooled": pooler(first)}

    def stage_of(self, hidden_state: int) -> int:
        return 0 if hidden_state == 0 else 1 + self.block_of[hidden_state - 1]

    # --- what the base asks -----------------------------------------------------------------

    @property
    def hidden_size(self) -> int:
        return self.architecture.hidden_size

    @property
    def num_heads(self) -> int:
        return self.architecture.num_heads

    @property
    def pad_id(self) -> int:
        return self.architecture.pad_id

    @property
    def input_names(self) -> tuple[str, ...]:
        names = ("token_ids", "segment_ids", "padding_mask")
        return names if self.architecture.num_segments > 1 else (names[0], names[2])

    @property
    def id_counts(self) -> dict[str, int]:
        made = self.architecture
        segments = {"segment_ids": made.num_segments} if made.num_segments > 1 else {}
        return {**super().id_counts, **segments}

    @property
    def optional_inputs(self) -> tuple[str, ...]:
        return (TEXT_STARTS,)

    def _checked_length(self, max_length: int | None) -> int:
        limit = self.architecture.max_positions
        if max_length is not None and not 2 < max_length <= limit:
            raise ValueError(
                f"`max_length` must lie between 3 and the position limit {limit}. "
                f"Received: {max_length}"
            )
        return limit if max_length is None else max_length

    def published_files(self, dialect: str) -> dict[str, bytes]:
        config = self.reader.config.write(dataclasses.asdict(self.architecture), dialect)
        files = {}
        if dialect in self.config_files:
            files[self.config_files[dialect]] = json.dumps(config, indent=2).encode()
        if self._tokenizer is not None:
            files |= self._tokenizer.published_files()
        return files

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "architecture": dataclasses.asdict(self.architecture),
            "preset": self.preset,
            "trainable_from": self.trainable_from,
            "pooling": self.pooling,
            "hidden_layers": self.hidden_layers,
            "max_length": self.max_length,
            "tokenizer": self.tokenizer_config,
        }
