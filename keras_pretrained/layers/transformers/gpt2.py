"""`GPT2Decoder`: GPT-2 as a Keras layer, from OpenAI's checkpoints and Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from keras_pretrained.layers.blocks.attention import Past, causal_bias, key_mask_bias
from keras_pretrained.layers.blocks.normalization import LayerNormalization
from keras_pretrained.layers.depth import Stage, StageCall, State
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import Source, SourceReader, byte_level_tokenizer
from keras_pretrained.layers.text.generation import Cache, Generating
from keras_pretrained.layers.transformers.gpt2_weights import WEIGHT_MAPS
from keras_pretrained.layers.transformers.transformer_encoder import (
    EncoderArchitecture,
    TransformerEncoder,
)
from keras_pretrained.tokenizers import ByteLevelBPETokenizer


@dataclass(frozen=True)
class GPT2Architecture(EncoderArchitecture):
    """The numbers that make a GPT-2; see `EncoderArchitecture`.

    `pad_id` is -1, which no token has: the original has no padding, and every id is a real token
    unless a `padding_mask` says otherwise.
    """

    max_positions: int = 1024
    num_segments: int = 0
    activation: str = "gelu_tanh"
    layer_norm_epsilon: float = 1e-5
    pooler: bool = False
    pad_id: int = -1


@dataclass(frozen=True)
class GPT2ConfigFormat(ConfigFormat):
    """Hugging Face's `config.json`, and OpenAI's `hparams.json`, which has five sizes."""

    def read(self, config: Mapping[str, Any], origin: str, dialect: str) -> dict[str, Any]:
        renamed = {"n_vocab": "vocab_size", "n_ctx": "n_positions"}
        config = {renamed.get(name, name): value for name, value in config.items()} | {
            name: config[name] for name in renamed.values() if name in config
        }
        sizes = super().read(config, origin, dialect)
        sizes.setdefault("intermediate_size", 4 * sizes["hidden_size"])
        return sizes

    def write(self, architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        if dialect == "hf":
            rate = architecture["dropout"]
            return {**super().write(architecture, dialect), "embd_pdrop": rate}
        return {
            "n_vocab": architecture["vocabulary_size"],
            "n_ctx": architecture["max_positions"],
            "n_embd": architecture["hidden_size"],
            "n_head": architecture["num_heads"],
            "n_layer": architecture["num_layers"],
        }


CONFIG = GPT2ConfigFormat(
    model_type="gpt2",
    sizes={
        "vocab_size": "vocabulary_size",
        "n_layer": "num_layers",
        "n_head": "num_heads",
        "n_embd": "hidden_size",
        "n_inner": "intermediate_size",
        "n_positions": "max_positions",
        "resid_pdrop": "dropout",
        "attn_pdrop": "attention_dropout",
        "layer_norm_epsilon": "layer_norm_epsilon",
        "initializer_range": "initializer_range",
    },
    required=("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"),
    activation="activation_function",
    fixed={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    defaults={"activation_function": "gelu_new"},
)


@keras.saving.register_keras_serializable(package="keras_pretrained")
class GPT2Decoder(Generating, TransformerEncoder):
    """GPT-2 as a layer: texts or token ids in; hidden states, or logits of the next token, out.

    A token sees itself and those before it. Positions are counted over real tokens, so padding may
    stand on either side. The logits are those of the tied token table.

    Args:
        source: a preset name (`list_presets(family="gpt2")`), or a local path: OpenAI's folder
            (`model.ckpt`, `hparams.json`, `encoder.json`, `vocab.bpe`), a Hugging Face folder, or
            one checkpoint file with its configuration beside it.
        language_model_logits: whether the output is the logits of the next token, (batch, length,
            vocabulary), in place of hidden states.
        trainable_from, pooling, hidden_layers, max_length, weights: see `BertEncoder`. The stages
            are `stem`, `layer_0`, ..., `final_norm` and `logits`; hidden state -1 is normalised, as
            the original's is. For one vector a text use `pooling="last"` or `"mean"`.
        dialect: `"openai"` or `"hf"`, when it cannot be told from the names.
        lowercase: not for this family, whose vocabulary has both cases.
        architecture: a `GPT2Architecture` in place of a source, for random weights, or changes to
            the source's own.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `padding_mask`
    (default: all real).

    Example:

    ```python
    decoder = GPT2Decoder("gpt2", language_model_logits=True)
    logits = decoder(decoder.tokenizer(["The dog"]))   # (1, 2, 50257)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [Language Models are Unsupervised Multitask
    Learners](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf).
    """

    architecture_class = GPT2Architecture
    weight_maps = WEIGHT_MAPS
    reader = SourceReader("gpt2", CONFIG, WEIGHT_MAPS)
    tokenizer_class = ByteLevelBPETokenizer
    config_files = MappingProxyType({"hf": "config.json", "openai": "hparams.json"})

    def __init__(
        self, source: Any = None, *, language_model_logits: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(source, **kwargs)
        self.language_model_logits = language_model_logits
        if language_model_logits:
            if self.pooling is not None or self.hidden_layers != -1:
                raise ValueError(
                    "`language_model_logits=True` gives logits for every token: `pooling` and "
                    f"`hidden_layers` must keep their defaults. Received: pooling={self.pooling!r}"
                    f", hidden_layers={self.hidden_layers!r}"
                )
            self.use_heads()

    def create_embeddings(self, **options: Any) -> Any:
        return super().create_embeddings(count_real=True, normalize=False, **options)

    def create_block(self, index: int, **options: Any) -> Any:
        return super().create_block(index, norm_first=True, **options)

    def _create_layers(self) -> None:
        super()._create_layers()
        self.final_norm = LayerNormalization(
            self.architecture.layer_norm_epsilon, dtype=self.dtype_policy, name="final_norm"
        )

    def _stages(self) -> list[Stage]:
        return [
            *super()._stages(),
            Stage("final_norm", (self.final_norm,), self._normalize, head=True),
            # The tied table belongs to the stem.
            Stage("logits", (), self._logits, head=True),
        ]

    def build_network(self) -> None:
        super().build_network()
        self.final_norm.build((None, None, self.hidden_size))

    @property
    def optional_inputs(self) -> tuple[str, ...]:
        # Packing is for encoders: this bias is causal, over the whole row.
        return ()

    def attention_bias(self, state: State) -> Any:
        length = keras.ops.shape(state["padding_mask"])[1]
        return key_mask_bias(state["padding_mask"], "float32") + causal_bias(length, "float32")

    def record(self, state: State, index: int, call: StageCall) -> State:
        # The last hidden state is what the normalisation makes of the last block's output.
        if index == self.architecture.num_layers:
            return state
        return super().record(state, index, call)

    def stage_of(self, hidden_state: int) -> int:
        return hidden_state + (hidden_state == self.architecture.num_layers)

    def _normalize(self, state: State, call: StageCall) -> State:
        state = {**state, "hidden": self.final_norm(state["hidden"])}
        return super().record(state, self.architecture.num_layers, call)

    def _logits(self, state: State, call: StageCall) -> State:
        table = keras.ops.cast(self.embeddings.word_embeddings, self.compute_dtype)
        return {**state, "logits": keras.ops.matmul(state["hidden"], keras.ops.transpose(table))}

    def finish(self, state: State, call: StageCall) -> Any:
        if self.language_model_logits and not call.features:
            self._features_called = False
            return state["logits"]
        return super().finish(state, call)

    @property
    def output_size(self) -> int:
        if self.language_model_logits:
            return self.architecture.vocabulary_size
        return super().output_size

    def _feature_spec(self, batch: int | None, length: int | None) -> dict[str, Any]:
        shape = (batch, length, self.architecture.vocabulary_size)
        logits = keras.KerasTensor(shape, dtype=self.compute_dtype)
        return {**super()._feature_spec(batch, length), "logits": logits}

    def source_tokenizer(self, found: Source, lowercase: bool | None) -> Any:
        if lowercase is not None:
            raise ValueError(
                "GPT-2's vocabulary has both cases: `lowercase` must be None. Lower-case the "
                f"texts instead. Received: lowercase={lowercase!r}"
            )
        return byte_level_tokenizer(found, special="gpt2", max_length=self.max_length)

    # --- generation -------------------------------------------------------------------------

    def first_step(self, token_ids: Any, padding_mask: Any, room: int) -> tuple[Any, Cache]:
        ops = keras.ops
        hidden = self.embeddings(token_ids, None, padding_mask)
        bias = self.attention_bias({"padding_mask": padding_mask})
        cache = []
        for block in self.blocks:
            hidden, _, kept = block.run(hidden, bias)
            cache.append(tuple(ops.pad(each, [(0, 0), (0, 0), (0, room), (0, 0)]) for each in kept))
        return self._next_logits(hidden[:, -1:]), cache

    def next_step(
        self, token_ids: Any, positions: Any, here: Any, key_mask: Any, cache: Cache
    ) -> tuple[Any, Cache]:
        hidden = self.embeddings(token_ids, positions=positions)
        bias = key_mask_bias(key_mask, "float32")
        kept = []
        for block, (keys, values) in zip(self.blocks, cache, strict=True):
            hidden, _, pair = block.run(hidden, bias, past=Past(keys, values, here))
            kept.append(pair)
        return self._next_logits(hidden), kept

    def _next_logits(self, hidden: Any) -> Any:
        state = self._logits({"hidden": self.final_norm(hidden)}, StageCall())
        return state["logits"][:, 0]

    def published_files(self, dialect: str) -> dict[str, bytes]:
        files = super().published_files(dialect)
        if dialect == "openai":
            for theirs, ours in {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}.items():
                if ours in files:
                    files[theirs] = files.pop(ours)
        return files

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "language_model_logits": self.language_model_logits}
