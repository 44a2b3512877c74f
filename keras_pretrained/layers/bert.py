"""BERT and every encoder of its architecture."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from keras_pretrained.layers.bert_checkpoints import BertSource, config_from_architecture, find_bert
from keras_pretrained.layers.bert_weights import WEIGHT_MAPS
from keras_pretrained.layers.blocks.attention import key_mask_bias
from keras_pretrained.layers.blocks.block import Dense
from keras_pretrained.layers.blocks.embedding import Embeddings
from keras_pretrained.layers.blocks.transformer import ACTIVATIONS, TransformerBlock
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State
from keras_pretrained.layers.text_encoder import HiddenLayers, TextEncoder
from keras_pretrained.tokenizers import WordPieceTokenizer


@dataclass(frozen=True)
class BertArchitecture:
    """The numbers that make a BERT.

    Args:
        vocabulary_size: rows of the token table.
        num_layers: transformer blocks.
        num_heads: attention heads; divides the hidden size.
        hidden_size: width of a hidden state.
        intermediate_size: width of the feed-forward layers.
        max_positions: rows of the position table, the longest input.
        num_segments: rows of the segment table.
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


@keras.saving.register_keras_serializable(package="keras_pretrained")
class BertEncoder(TextEncoder):
    """BERT as a layer: token ids in, one vector a token or one a text out.

    Args:
        source: a preset name (`list_presets(family="bert")`), or a local path: a Google
            checkpoint folder, a Hugging Face folder (safetensors or `.bin`), a TF2 SavedModel
            of tensorflow_models, or one checkpoint file with its configuration beside it.
        trainable_from: the depth from which the network trains: `0` all of it, `k` the stem
            and the first k blocks are frozen, `-m` only the last m blocks train, a stage name
            (`"stem"`, `"layer_0"`, ..., `"pooler"`), or None for nothing. May be set later.
        pooling: None for (batch, length, width); `"cls"`, `"pooler"`, `"mean"`, `"max"`,
            `"mean-max"` or `"last"` for (batch, width).
        hidden_layers: which hidden states to return, 0 = embeddings, -1 = last block: one, a
            list (concatenated), `"all"` (concatenated), or `"mix"` (a trainable weighted sum).
        max_length: where the tokenizer truncates; by default the position limit.
        weights: `"auto"` loads the source's weights, None leaves them random, a path loads
            those of another checkpoint.
        dialect: naming scheme of the checkpoint (`"hf"`, `"google"`, `"tf-models"`,
            `"tf-models-objects"`), when it cannot be told from the names.
        lowercase: whether texts are lower-cased; by default what the source says.
        architecture: a `BertArchitecture` in place of a source, for random weights, or changes
            to the source's own, e.g. `{"activation": "gelu_tanh", "dropout": 0.0}`.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `segment_ids`
    (default: zeros) and `padding_mask` (default: where the id is not padding; 1 = real).
    Unpooled outputs carry the padding mask.

    Example:

    ```python
    encoder = BertEncoder("minilm-l6", trainable_from=4, pooling="mean", max_length=128)
    vectors = encoder(encoder.tokenizer(["A sentence.", "Another one."]))   # (2, 384)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding](https://arxiv.org/abs/1810.04805).
    """

    weight_maps = WEIGHT_MAPS

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
        architecture: BertArchitecture | Mapping[str, Any] | None = None,
        tokenizer: WordPieceTokenizer | Mapping[str, Any] | None = None,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        changes = architecture or {}
        if isinstance(changes, BertArchitecture):
            changes = dataclasses.asdict(changes)
        found = find_bert(source, weights, dialect, changes)
        self.architecture = _architecture(found.architecture)
        self.preset = found.preset if found.preset is not None else preset
        self.max_length = self._checked_length(max_length)
        self.configure_outputs(self.architecture.num_layers, pooling, hidden_layers)
        self.configure_tokenizer(tokenizer or self._source_tokenizer(found, lowercase))
        self._create_layers()
        self.declare(self._stages(), trainable_from)
        self.create(self.architecture.dims(), found.checkpoint, found.weight_map)

    def _create_layers(self) -> None:
        made = self.architecture
        self.embeddings = Embeddings(
            made.vocabulary_size,
            made.max_positions,
            made.num_segments,
            made.hidden_size,
            epsilon=made.layer_norm_epsilon,
            dropout=made.dropout,
            initializer=self._initializer(),
            dtype=self.dtype_policy,
            name="embeddings",
        )
        self.blocks = [
            TransformerBlock(
                made.num_heads,
                made.intermediate_size,
                activation=made.activation,
                dropout=made.dropout,
                attention_dropout=made.attention_dropout,
                epsilon=made.layer_norm_epsilon,
                kernel_initializer=self._initializer(),
                dtype=self.dtype_policy,
                name=f"layer_{index}",
            )
            for index in range(made.num_layers)
        ]
        self.pooler = None
        if made.pooler:
            self.pooler = Dense(
                made.hidden_size,
                activation="tanh",
                kernel_initializer=self._initializer(),
                dtype=self.dtype_policy,
                name="pooler",
            )
        elif self.pooling == "pooler":
            raise ValueError(
                "pooling='pooler' needs the original pooler, which this checkpoint does not hold. "
                "Use 'cls' for the first token's vector, or 'mean'."
            )

    def _initializer(self) -> Any:
        return keras.initializers.TruncatedNormal(stddev=self.architecture.initializer_range)

    def _stages(self) -> list[Stage]:
        stages = [Stage("stem", (self.embeddings,), self._embed)]
        for index, block in enumerate(self.blocks):
            stages.append(Stage(f"layer_{index}", (block,), partial(self._run_block, index)))
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
        hidden = self.embeddings(state["token_ids"], state["segment_ids"], training=call.training)
        return self.record({"hidden": hidden, "padding_mask": state["padding_mask"]}, 0, call)

    def _run_block(self, index: int, state: State, call: StageCall) -> State:
        bias = key_mask_bias(state["padding_mask"], "float32")
        result = self.blocks[index](
            state["hidden"], bias, training=call.training, return_scores=call.features
        )
        state = dict(state)
        if call.features:
            result, state[f"attention_{index}"] = result
        state["hidden"] = result
        return self.record(state, index + 1, call)

    def _pool(self, state: State, call: StageCall) -> State:
        pooler: Any = self.pooler
        return {**state, "pooled": pooler(state["hidden"][:, 0])}

    @property
    def hidden_size(self) -> int:
        return self.architecture.hidden_size

    @property
    def num_heads(self) -> int:
        return self.architecture.num_heads

    @property
    def pad_id(self) -> int:
        return self.architecture.pad_id

    def _checked_length(self, max_length: int | None) -> int:
        limit = self.architecture.max_positions
        if max_length is not None and not 2 < max_length <= limit:
            raise ValueError(
                f"`max_length` must lie between 3 and the position limit {limit}. "
                f"Received: {max_length}"
            )
        return limit if max_length is None else max_length

    def _source_tokenizer(
        self, found: BertSource, lowercase: bool | None
    ) -> WordPieceTokenizer | None:
        if found.vocabulary is None:
            return None
        return WordPieceTokenizer(
            found.vocabulary,
            lowercase=found.lowercase if lowercase is None else lowercase,
            max_length=self.max_length,
        )

    def published_files(self, dialect: str) -> dict[str, bytes]:
        name = "config.json" if dialect == "hf" else "bert_config.json"
        config = config_from_architecture(dataclasses.asdict(self.architecture), dialect)
        files = {name: json.dumps(config, indent=2).encode()}
        if self._tokenizer is not None:
            pieces = self._tokenizer.vocabulary
            files["vocab.txt"] = "".join(f"{piece}\n" for piece in pieces).encode()
            options = {"do_lower_case": self._tokenizer.lowercase}
            files["tokenizer_config.json"] = json.dumps(options, indent=2).encode()
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
            "tokenizer": self._tokenizer_config,
        }


def _architecture(sizes: Mapping[str, Any]) -> BertArchitecture:
    fields = dataclasses.fields(BertArchitecture)
    names = [field.name for field in fields]
    missing = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.name not in sizes
    ]
    unknown = [name for name in sizes if name not in names]
    if missing or unknown:
        raise ValueError(
            "A BERT needs a `source` (a preset name or a path), or an `architecture` with all of "
            f"its sizes. Expected entries: {', '.join(names)}. Missing: "
            f"{', '.join(missing) or 'none'}. Unknown: {', '.join(unknown) or 'none'}."
        )
    return BertArchitecture(**sizes)
