"""`AWDLSTMEncoder`: ULMFiT's network as a Keras layer, from the files of all fast.ai versions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import keras

from keras_pretrained.layers.blocks.pooling import pooled_parts
from keras_pretrained.layers.blocks.token_table import TiedDecoder, TokenTable
from keras_pretrained.layers.blocks.weight_dropped_lstm import WeightDroppedLSTM
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State
from keras_pretrained.layers.recurrent.awd_lstm_arguments import (
    check_chunks,
    check_outputs,
    scaled_rates,
)
from keras_pretrained.layers.recurrent.awd_lstm_source import (
    CLASSIFIER_DROPOUTS,
    READER,
    AWDLSTMArchitecture,
    decoder_of,
)
from keras_pretrained.layers.recurrent.awd_lstm_vocabulary import adapted
from keras_pretrained.layers.recurrent.awd_lstm_weights import (
    COPY,
    TIED,
    WEIGHT_MAPS,
    copy_names,
    original_of,
)
from keras_pretrained.layers.recurrent.recurrent_encoder import RecurrentEncoder
from keras_pretrained.layers.text.encoder_source import Source, read_source
from keras_pretrained.layers.text.generation import Cache, Generating
from keras_pretrained.layers.text.text_encoder import HiddenLayers
from keras_pretrained.presets import preset_info
from keras_pretrained.tokenizers.fastai import FastaiTokenizer
from keras_pretrained.weights import WeightMap

MASK = "padding_mask"


@keras.saving.register_keras_serializable(package="keras_pretrained")
class AWDLSTMEncoder(Generating, RecurrentEncoder):
    """ULMFiT's language model as a layer: texts or token ids in; vectors, or logits, out.

    Args:
        source: a preset name (`list_presets(family="ulmfit")`), or a local path: fast.ai's
            `fwd_wt103.h5`, a `.pth` of fastai 1 or 2, an encoder of either, or a folder with one of
            them; `itos_wt103.pkl` beside it is the vocabulary.
        trainable_from: the stages are `stem` (the token table), `layer_0`, `layer_1`, `layer_2`,
            and `decoder`; see `BertEncoder`. The decoder's matrix is the token table, which belongs
            to the stem: beside it the decoder has at most a bias.
        language_model_logits: whether the output is the logits of the next token (of the one
            before, in a backward network), (batch, length, vocabulary), in place of hidden states.
        hidden_layers: which hidden states to return: 0 the embeddings, 400 wide, 1 and 2 (1150 or
            1152) and 3 (400); one or a list (concatenated).
        pooling: None, or `"last-max-mean"`, the paper's concat pooling, or `"last"`, `"max"`,
            `"mean"`, `"mean-max"`, `"cls"`. The last token is the one that was read last: in a
            backward network the first of the text.
        bptt: number of tokens behind which gradients do not go back through a state. fast.ai's
            classifiers have 70 or 72; None: no limit.
        kept_tokens: how many of a text's tokens, counted from the last one that is read, can have
            gradients and be pooled; the chunks of `bptt` that begin before them are read for their
            states alone. fast.ai's classifiers have `20 * bptt`. None: all tokens.
        stateful: whether the states behind a batch are where the next one begins, as for training a
            language model on a stream of tokens; `reset_state()` makes them zero.
        state_rows: the most rows of a batch, where states are kept.
        dropout_multiplier: of all rates of dropout, fast.ai's `drop_mult`.
        max_length: the most tokens of a text; by default all are read.
        weights, dialect: see `BertEncoder`; the dialects are `"fastai-0.7"` and `"fastai"` (1, 2).
        architecture: an `AWDLSTMArchitecture` in place of a source, for random weights, or changes
            to the source's own: `{"backward": True}`, or `AWDLSTMEncoder.classifier_dropouts`.
        tokenizer: a `FastaiTokenizer` in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `padding_mask` (default:
        all but id 1 are real). Padding may stand anywhere and changes nothing.

    Example:

    ```python
    encoder = AWDLSTMEncoder("ulmfit-wt103", pooling="last-max-mean", bptt=70)
    vectors = encoder(encoder.tokenizer(["A good film.", "A bad one."]))   # (2, 1200)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [Universal Language Model Fine-tuning for Text
    Classification](https://arxiv.org/abs/1801.06146).
    """

    weight_maps = WEIGHT_MAPS
    reader = READER
    architecture_class = AWDLSTMArchitecture
    tokenizer_class = FastaiTokenizer
    classifier_dropouts = CLASSIFIER_DROPOUTS

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        trainable_from: Depth = 0,
        language_model_logits: bool = False,
        hidden_layers: HiddenLayers = -1,
        pooling: str | None = None,
        bptt: int | None = None,
        kept_tokens: int | None = None,
        stateful: bool = False,
        state_rows: int = 128,
        dropout_multiplier: float = 1.0,
        max_length: int | None = None,
        weights: str | os.PathLike[str] | None = "auto",
        dialect: str = "auto",
        architecture: AWDLSTMArchitecture | Mapping[str, Any] | None = None,
        tokenizer: FastaiTokenizer | Mapping[str, Any] | None = None,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        found, made = read_source(type(self), source, weights, dialect, architecture)
        self.architecture = made
        self.preset = found.preset if found.preset is not None else preset
        self.language_model_logits = language_model_logits
        self.bptt = bptt
        self.kept_tokens = kept_tokens
        self.stateful = stateful
        self.state_rows = state_rows
        self.dropout_multiplier = dropout_multiplier
        self.max_length = max_length
        check_outputs(made, language_model_logits, pooling, hidden_layers)
        check_chunks(bptt, kept_tokens, language_model_logits)
        self._rates = scaled_rates(made, dropout_multiplier)
        self.configure_outputs(made.num_layers, pooling, hidden_layers)
        self._set_tokenizer(tokenizer, found)
        self._create_layers()
        self.declare(self._stages(), trainable_from)
        self.create({"num_layers": made.num_layers}, found.checkpoint, found.weight_map)
        if language_model_logits:
            self._check_decoder(found)
            self.use_heads()

    # --- arguments --------------------------------------------------------------------------

    def _check_decoder(self, found: Source) -> None:
        checkpoint = found.checkpoint
        is_new = found.weight_map is not None and found.weight_map.dialect == "fastai"
        if checkpoint is not None and is_new and decoder_of(checkpoint) is None:
            raise ValueError(
                f"{str(checkpoint.path)!r} holds an encoder without a decoder, whose bias the "
                "logits need. Load the language model's own file, or leave out "
                "`language_model_logits=True`."
            )

    def _set_tokenizer(self, tokenizer: Any, found: Source) -> None:
        path = found.files.get("vocabulary")
        if tokenizer is None and path is not None:
            rules = preset_info(found.preset).tokenizer["rules"] if found.preset else None
            tokenizer = FastaiTokenizer.from_file(path, rules=rules, max_length=self.max_length)
        if isinstance(tokenizer, FastaiTokenizer):
            rows = self.architecture.vocabulary_size
            if tokenizer.vocabulary_size > rows:
                raise ValueError(
                    f"The vocabulary has {tokenizer.vocabulary_size} words"
                    f"{f' ({str(path)!r})' if path else ''}, and the token table {rows} rows. "
                    "Expected the vocabulary that the network was trained with."
                )
        self.configure_tokenizer(tokenizer)

    # --- the network ------------------------------------------------------------------------

    def _create_layers(self) -> None:
        made, policy, rates = self.architecture, self.dtype_policy, self._rates
        self.table = TokenTable(
            made.vocabulary_size,
            made.embedding_size,
            rates["embedding_dropout"],
            rates["input_dropout"],
            initializer=keras.initializers.RandomUniform(-0.1, 0.1),
            dtype=policy,
            name="table",
        )
        self.lstms = [
            WeightDroppedLSTM(
                units,
                rates["weight_dropout"],
                reverse=made.backward,
                kernel_initializer=_uniform(units),
                recurrent_initializer=_uniform(units),
                dtype=policy,
                name=f"layer_{index}",
            )
            for index, units in enumerate(made.widths[1:])
        ]
        self.dropouts = [
            keras.layers.SpatialDropout1D(
                rates["hidden_dropout"], dtype=policy, name=f"dropout_{index}"
            )
            for index in range(made.num_layers - 1)
        ]
        self.decoder = TiedDecoder(
            made.vocabulary_size,
            made.decoder_bias,
            rates["output_dropout"],
            dtype=policy,
            name="decoder",
        )
        if self.stateful:
            self.keep_states(self.lstms, self.state_rows)

    def _stages(self) -> list[Stage]:
        stages = [Stage("stem", (self.table,), self._embed)]
        for index, lstm in enumerate(self.lstms):
            stages.append(Stage(f"layer_{index}", (lstm,), partial(self._run_layer, index)))
        return [*stages, Stage("decoder", (self.decoder,), self._decode, head=True)]

    def build_network(self) -> None:
        self.table.build()
        for lstm, width in zip(self.lstms, self.architecture.widths, strict=False):
            lstm.build((None, None, width))
        self.decoder.build()

    def _embed(self, state: State, call: StageCall) -> State:
        hidden = self.table(state["token_ids"], training=call.training)
        return self.record({"hidden": hidden, MASK: state[MASK]}, 0, call)

    def _run_layer(self, index: int, state: State, call: StageCall) -> State:
        lstm, hidden = self.lstms[index], state["hidden"]
        start = self.first_state(lstm, hidden)
        mask = keras.ops.cast(state[MASK], "bool")
        if self.bptt is None:
            hidden, last = lstm(
                hidden, mask=mask, initial_state=start, return_state=True, training=call.training
            )
        else:
            hidden, last = lstm.run_truncated(
                hidden,
                mask,
                start,
                detach_every=self.bptt,
                kept=self.kept_tokens,
                training=call.training,
            )
        self.keep_state(lstm, last[:2])
        if index < len(self.dropouts):
            hidden = self.dropouts[index](hidden, training=call.training)
        return self.record({**state, "hidden": hidden}, index + 1, call)

    def _decode(self, state: State, call: StageCall) -> State:
        logits = self.decoder(state["hidden"], self.table.embeddings, training=call.training)
        return {**state, "logits": logits}

    # --- outputs ----------------------------------------------------------------------------

    def finish(self, state: State, call: StageCall) -> Any:
        if self.language_model_logits and not call.features:
            self._features_called = False
            return state["logits"]
        state = {**state, MASK: self._kept(state[MASK])}
        if self.architecture.backward and "last" in str(self.pooling) and not call.features:
            # In the order in which it was read.
            state = {name: keras.ops.flip(x, axis=1) for name, x in state.items()}
        return super().finish(state, call)

    def _kept(self, mask: Any) -> Any:
        """The mask without the chunks that begin before the last `kept_tokens`."""
        if self.kept_tokens is None or self.bptt is None:
            return mask
        ops = keras.ops
        read = ops.cumsum(mask, axis=1)
        count = read[:, -1:]
        # The number of tokens that are read before this one.
        before = count - read if self.architecture.backward else read - 1
        chunk = before // self.bptt * self.bptt
        return mask * ops.cast(count - chunk <= self.kept_tokens, mask.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = super().compute_mask(inputs)
        if mask is None or self.kept_tokens is None:
            return mask
        return keras.ops.cast(self._kept(keras.ops.cast(mask, "int32")), "bool")

    def _all_features(self, state: State) -> dict[str, Any]:
        states = [state[f"hidden_state_{index}"] for index in range(self._last + 1)]
        return {"hidden_states": states, "logits": state["logits"]}

    def _feature_spec(self, batch: int | None, length: int | None) -> dict[str, Any]:
        def tensor(width: int) -> Any:
            return keras.KerasTensor((batch, length, width), self.compute_dtype)

        made = self.architecture
        states = [tensor(width) for width in made.widths]
        return {"hidden_states": states, "logits": tensor(made.vocabulary_size)}

    def _checked_ids(self, token_ids: Any) -> Any:
        ids = super()._checked_ids(token_ids)
        if ids.shape[1] == 0:
            raise ValueError(
                f"Layer {self.name!r} takes texts of at least one token. "
                f"Received: token_ids of shape {tuple(ids.shape)}"
            )
        return ids

    @property
    def hidden_size(self) -> int:
        return self.architecture.embedding_size

    @property
    def output_size(self) -> int:
        if self.language_model_logits:
            return self.architecture.vocabulary_size
        if self.mix is not None:
            return super().output_size
        width = sum(self.architecture.widths[index] for index in self._selected)
        return width * pooled_parts(self.pooling)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("token_ids", MASK)

    @property
    def pad_id(self) -> int:
        return self.architecture.pad_id

    # --- generation -------------------------------------------------------------------------

    def generate(self, prompts: Any, max_new_tokens: int = 32, **options: Any) -> Any:
        """Continues texts or rows of ids; see `GPT2Decoder.generate`."""
        if self.architecture.backward:
            raise ValueError(
                f"Layer {self.name!r} reads texts from their end and cannot continue them. Use the "
                "forward network."
            )
        return super().generate(prompts, max_new_tokens, **options)

    def first_step(self, token_ids: Any, padding_mask: Any, room: int) -> tuple[Any, Cache]:
        hidden = self.table(token_ids)
        mask = keras.ops.cast(padding_mask, "bool")
        return self._step(hidden, mask, [None] * len(self.lstms))

    def next_step(
        self, token_ids: Any, positions: Any, here: Any, key_mask: Any, cache: Cache
    ) -> tuple[Any, Cache]:
        return self._step(self.table(token_ids), None, cache)

    def _step(self, hidden: Any, mask: Any, states: Any) -> tuple[Any, Cache]:
        kept: Cache = []
        for lstm, state in zip(self.lstms, states, strict=True):
            hidden, last = lstm(hidden, mask=mask, initial_state=state, return_state=True)
            kept.append(last)
        return self.decoder(hidden[:, -1:], self.table.embeddings)[:, 0], kept

    # --- another vocabulary -----------------------------------------------------------------

    def with_vocabulary(self, words: Sequence[str], **options: Any) -> AWDLSTMEncoder:
        """A new layer with these weights for another vocabulary, to be tuned on texts of its own.

        Args:
            words: in the order of their ids, fast.ai's signs first, as `tokenizer.vocabulary` has
                them. A word that this layer's vocabulary lacks begins with the mean of all rows.
            **options: of the new layer, in place of this one's, e.g. `trainable_from`.
        """
        tokenizer: Any = self.tokenizer
        config = self.get_config()
        for name in ("name", "preset"):
            del config[name]
        config["architecture"] = {**config["architecture"], "vocabulary_size": len(words)}
        config["tokenizer"] = FastaiTokenizer(
            words,
            **{
                **tokenizer.get_config(),
                "rules": tokenizer.rules,
                "splitter": tokenizer.splitter,
            },
        )
        made = type(self)(**{**config, **options})
        values = {
            path: keras.ops.convert_to_numpy(variable)
            for path, variable in self.network_variables().items()
        }
        values = adapted(values, tokenizer.vocabulary, words)
        for path, variable in made.network_variables().items():
            variable.assign(values[path])
        return made

    # --- files ------------------------------------------------------------------------------

    def stored_content(self, tensors: Mapping[str, Any], dialect: str) -> Mapping[str, Any]:
        """The tensors with the copies that fast.ai's files hold."""
        loaded = self.load_report
        if loaded is not None and loaded.dialect == dialect:
            names = [name for name, why in loaded.ignored.items() if why in (COPY, TIED)]
        else:
            names = copy_names(dialect, self.architecture.num_layers)
        content = {**tensors, **{name: tensors[original_of(name)] for name in names}}
        if all(name.startswith("model.") for name in content):
            return {"model": {name.removeprefix("model."): x for name, x in content.items()}}
        return content

    def published_name(self, weight_map: WeightMap) -> str:
        name = super().published_name(weight_map)
        return name.replace("fwd", "bwd") if self.architecture.backward else name

    def published_files(self, dialect: str) -> dict[str, bytes]:
        config = READER.config.write(asdict(self.architecture), dialect)
        files = {"config.json": json.dumps(config, indent=2).encode()}
        return files if self._tokenizer is None else files | self._tokenizer.published_files()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "architecture": asdict(self.architecture),
            "preset": self.preset,
            "trainable_from": self.trainable_from,
            "language_model_logits": self.language_model_logits,
            "hidden_layers": self.hidden_layers,
            "pooling": self.pooling,
            "bptt": self.bptt,
            "kept_tokens": self.kept_tokens,
            "stateful": self.stateful,
            "state_rows": self.state_rows,
            "dropout_multiplier": self.dropout_multiplier,
            "max_length": self.max_length,
            "tokenizer": self.tokenizer_config,
        }


def _uniform(units: int) -> keras.initializers.Initializer:
    """As torch's LSTMs begin."""
    return keras.initializers.RandomUniform(-(units**-0.5), units**-0.5)
