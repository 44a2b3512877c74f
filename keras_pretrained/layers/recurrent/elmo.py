"""`ElmoEmbedding`: ELMo as a Keras layer, from bilm's files and TF-Hub's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import keras

from keras_pretrained.layers.blocks.lstm import LSTM
from keras_pretrained.layers.blocks.pooling import POOLING
from keras_pretrained.layers.blocks.scalar_mix import ScalarMix
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State
from keras_pretrained.layers.recurrent.elmo_inputs import (
    checked_words,
    holds_words,
    with_word_tensors,
)
from keras_pretrained.layers.recurrent.elmo_source import NUM_CHARACTERS, READER, ElmoArchitecture
from keras_pretrained.layers.recurrent.elmo_weights import DIRECTIONS, WEIGHT_MAPS
from keras_pretrained.layers.recurrent.elmo_words import WordEncoder
from keras_pretrained.layers.recurrent.recurrent_encoder import RecurrentEncoder
from keras_pretrained.layers.text.encoder_source import read_source
from keras_pretrained.layers.text.strings import is_split
from keras_pretrained.layers.text.text_encoder import HiddenLayers
from keras_pretrained.tokenizers.characters import (
    SENTENCE_BEGIN,
    SENTENCE_END,
    CharacterTokenizer,
    mark_row,
)
from keras_pretrained.tokenizers.packing import PadTo
from keras_pretrained.weights import LoadReport

IDS, MASK = "character_ids", "padding_mask"


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ElmoEmbedding(RecurrentEncoder):
    """ELMo as a layer: sentences, words or character ids in, one vector a word or one a text out.

    The output is by default the trainable mix of ELMo's three layers, which alone trains. The
    stages are `stem` (the character convolutions), `layer_0` and `layer_1` (both directions).

    Args:
        source: a preset name (`list_presets(family="elmo")`), or a local path: a folder with
            `options.json` and `weights.hdf5`, one of these files with the other beside it (or
            `x_options.json` and `x_weights.hdf5`), a TF-Hub module's folder, or a checkpoint of
            bilm's training program with its options.
        trainable_from: the first stage that trains: `0` all, `1` or `"layer_1"` the upper LSTMs,
            None (the default) none: the mix trains all the same.
        hidden_layers: `"mix"`; or which hidden states to return: 0 (the words by themselves), 1
            and 2, one or a list (concatenated); or `"all"`.
        mixes: how many mixes are made of one run of the network, each with weights of its own, as
            for the input and the output of a task's own recurrent layer. More than one: the output
            is a list.
        mix_layer_norm, mix_dropout, mix_l2: of the mixes; see `ScalarMix`. The paper has a
            moderate dropout and, for some tasks, a penalty of 0.001.
        pooling: None, or `"mean"`, `"max"`, `"mean-max"`, `"cls"` (the first word), `"last"`.
        stateful: whether the states behind a batch are where the next one begins, as in the
            original program; `reset_state()` makes them zero. By default every sentence begins
            with zeros, so that its vectors depend on nothing but itself.
        state_rows: the most rows of a batch, where states are kept.
        distinct_words: whether, on TensorFlow without XLA, each distinct word of a batch is read
            once. The numbers are the same.
        max_length: the most words of a sentence; by default all are read.
        weights, dialect: see `BertEncoder`; the dialects are `"bilm"`, `"tf-hub"` and
            `"bilm-training"`.
        architecture: an `ElmoArchitecture` in place of a source, for random weights, or changes to
            the source's own.
        tokenizer: a `CharacterTokenizer` in place of the default one.

    Inputs: int32 character ids (batch, words, 50), or a dictionary that may add `padding_mask`
    (batch, words); on TensorFlow also strings: sentences (batch,), cut at white space; words
    (batch, words), `""` where there is none; `{"words": ..., "lengths": ...}`; lists of lists of
    words. Unpooled outputs carry the padding mask. The layer adds the begin and the end of the
    sentence by itself and takes them away again.

    Example:

    ```python
    elmo = ElmoEmbedding("elmo-original")
    vectors = elmo([["I", "ate", "."], ["Yes"]])                  # (2, 3, 1024)
    sentences = keras.Input((), dtype="string")
    low, high = ElmoEmbedding("elmo-original", mixes=2)(sentences)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [Deep contextualized word representations](https://arxiv.org/abs/1802.05365).
    """

    weight_maps = WEIGHT_MAPS
    reader = READER
    architecture_class = ElmoArchitecture
    tokenizer_class = CharacterTokenizer
    takes_words = True

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        trainable_from: Depth = None,
        hidden_layers: HiddenLayers = "mix",
        mixes: int = 1,
        mix_layer_norm: bool = False,
        mix_dropout: float = 0.0,
        mix_l2: float = 0.0,
        pooling: str | None = None,
        stateful: bool = False,
        state_rows: int = 128,
        distinct_words: bool = True,
        max_length: int | None = None,
        weights: str | os.PathLike[str] | None = "auto",
        dialect: str = "auto",
        architecture: ElmoArchitecture | Mapping[str, Any] | None = None,
        tokenizer: CharacterTokenizer | Mapping[str, Any] | None = None,
        preset: str | None = None,
        jit_compile: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(jit_compile=jit_compile, **kwargs)
        found, made = read_source(type(self), source, weights, dialect, architecture)
        self.architecture = made
        self.preset = found.preset if found.preset is not None else preset
        self._mix_options: dict[str, Any] = {
            "layer_norm": mix_layer_norm,
            "dropout": mix_dropout,
            "l2": mix_l2,
        }
        self.configure_outputs(made.num_layers, pooling, hidden_layers)
        self._check_mixes(mixes)
        self.num_mixes = mixes
        self.mixes = [] if self.mix is None else [self.mix]
        self.mixes += [self.new_mix(f"mix_{index}") for index in range(1, mixes)]
        self.distinct_words = distinct_words
        self.stateful = stateful
        self.state_rows = state_rows
        self.max_length = max_length
        if isinstance(tokenizer, Mapping):
            tokenizer = CharacterTokenizer.from_config(dict(tokenizer))
        self.configure_tokenizer(
            tokenizer
            or CharacterTokenizer(max_characters=made.max_characters, max_length=max_length)
        )
        self._create_layers()
        self.declare(self._stages(), trainable_from)
        self.create({}, found.checkpoint, found.weight_map)

    def _check_mixes(self, mixes: int) -> None:
        if type(mixes) is not int or mixes < 1:
            raise ValueError(f"`mixes` must be an int from 1 on. Received: {mixes!r}")
        if self.mix is None and (mixes > 1 or any(self._mix_options.values())):
            raise ValueError(
                "`mixes`, `mix_layer_norm`, `mix_dropout` and `mix_l2` need hidden_layers='mix'. "
                f"Received: hidden_layers={self.hidden_layers!r}"
            )

    # --- the network ------------------------------------------------------------------------

    def _create_layers(self) -> None:
        made, policy = self.architecture, self.dtype_policy
        self.words = WordEncoder(
            NUM_CHARACTERS,
            made.character_size,
            made.filters,
            made.num_highways,
            made.projection_size,
            made.activation,
            self.distinct_words,
            dtype=policy,
            name="words",
        )
        self.lstms = [
            {
                direction: LSTM(
                    made.units,
                    made.projection_size,
                    gate_order="igfo",
                    forget_bias=1.0,
                    cell_clip=made.cell_clip,
                    projection_clip=made.projection_clip,
                    reverse=direction == "backward",
                    residual=made.skip_connections and index > 0,
                    dtype=policy,
                    name=f"layer_{index}_{direction}",
                )
                for direction in DIRECTIONS
            }
            for index in range(made.num_layers)
        ]
        if self.stateful:
            lstms = [lstm for layer in self.lstms for lstm in layer.values()]
            self.keep_states(lstms, self.state_rows)

    def _stages(self) -> list[Stage]:
        stages = [Stage("stem", (self.words,), self._read_words)]
        for index, layer in enumerate(self.lstms):
            parts = tuple(layer.values())
            stages.append(Stage(f"layer_{index}", parts, partial(self._run_layer, index)))
        return stages

    def build_network(self) -> None:
        self.words.build()
        for layer in self.lstms:
            for lstm in layer.values():
                lstm.build((None, None, self.architecture.projection_size))

    def build_new(self) -> None:
        super().build_new()
        for mix in self.mixes[1:]:
            mix.build([(None, None, self.hidden_size)] * len(self._selected))

    def new_layers(self) -> list[keras.layers.Layer]:
        return list(self.mixes)

    def new_mix(self, name: str) -> ScalarMix:
        return ScalarMix(**self._mix_options, dtype=self.dtype_policy, name=name)

    def begin(self, inputs: Any) -> State:
        ops = keras.ops
        given = dict(inputs) if isinstance(inputs, Mapping) else {IDS: inputs}
        ids = given.pop(IDS, None)
        mask = given.pop(MASK, None)
        size = self.architecture.max_characters
        if ids is None or given:
            raise ValueError(
                f"Layer {self.name!r} takes character ids, a dictionary of {IDS} and perhaps "
                f"{MASK}, or texts. Received: {', '.join(map(str, inputs))}"
            )
        dtype = keras.backend.standardize_dtype(ids.dtype)
        if len(ids.shape) != 3 or ids.shape[2] != size or "int" not in dtype:
            raise ValueError(
                f"Layer {self.name!r} takes integer {IDS} of shape (batch, words, {size}), as its "
                f"tokenizer makes them. Received: {dtype} of shape {tuple(ids.shape)}"
            )
        ids = ops.cast(ids, "int32")
        if mask is None:
            mask = ops.any(ops.not_equal(ids, 0), axis=-1)
        return {IDS: ids, MASK: ops.cast(mask, "int32")}

    def _read_words(self, state: State, call: StageCall) -> State:
        ops = keras.ops
        ids, size = state[IDS], self.architecture.max_characters
        marks = [mark_row(sign, size) for sign in (SENTENCE_BEGIN, SENTENCE_END)]
        rows = ops.concatenate(
            [ops.convert_to_tensor(marks, "int32"), ops.reshape(ids, (-1, size))]
        )
        vectors = self.words(rows)
        width = self.architecture.projection_size
        words = ops.reshape(vectors[2:], (-1, ops.shape(ids)[1], width))
        ends = ops.zeros_like(words[:, :1]) + vectors[:2]
        sides = dict.fromkeys(DIRECTIONS, words)
        return self._recorded(sides, dict.fromkeys(DIRECTIONS, ends), state, 0, call)

    def _run_layer(self, index: int, state: State, call: StageCall) -> State:
        ops = keras.ops
        # The end of a sentence stands behind its padding: every LSTM passes over the padding, so
        # that this is the same as an end behind the last word.
        mask = ops.pad(state[MASK], [(0, 0), (1, 1)], constant_values=1)
        words, ends = {}, {}
        for direction, lstm in self.lstms[index].items():
            outer = state[_ends(direction)]
            sentence = ops.concatenate([outer[:, :1], state[direction], outer[:, 1:]], axis=1)
            start = self.first_state(lstm, sentence)
            outputs, last = lstm(sentence, mask=mask, initial_state=start, return_state=True)
            self.keep_state(lstm, last)
            words[direction] = outputs[:, 1:-1]
            ends[direction] = ops.concatenate([outputs[:, :1], outputs[:, -1:]], axis=1)
        return self._recorded(words, ends, state, index + 1, call)

    def _recorded(
        self,
        words: Mapping[str, Any],
        ends: Mapping[str, Any],
        before: State,
        index: int,
        call: StageCall,
    ) -> State:
        """The state of both directions: words apart from begins and ends, which have no mask."""
        state = {name: x for name, x in before.items() if name.startswith("hidden_state_")}
        state |= {MASK: before[MASK], **words}
        state |= {_ends(direction): x for direction, x in ends.items()}
        state["hidden"] = keras.ops.concatenate(list(words.values()), axis=-1)
        return self.record(state, index, call)

    def finish(self, state: State, call: StageCall) -> Any:
        if not self.mixes or call.features:
            return super().finish(state, call)
        self._features_called = False
        parts = [state[f"hidden_state_{index}"] for index in self._selected]
        outputs = [mix(parts, state[MASK], training=call.training) for mix in self.mixes]
        if self.pooling is not None:
            outputs = [POOLING[self.pooling](output, state[MASK]) for output in outputs]
        return outputs if self.num_mixes > 1 else outputs[0]

    def _all_features(self, state: State) -> dict[str, Any]:
        return {"hidden_states": [state[f"hidden_state_{i}"] for i in range(self._last + 1)]}

    # --- shapes and masks -------------------------------------------------------------------

    def symbolic_inputs(self) -> dict[str, Any]:
        shapes = {IDS: (None, self.architecture.max_characters), MASK: (None,)}
        return {name: keras.Input(shapes[name], dtype="int32", name=name) for name in shapes}

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, features: bool = False
    ) -> Any:
        spec = super().compute_output_spec(inputs, training, features)
        if features or self.num_mixes == 1:
            return spec
        return [keras.KerasTensor(spec.shape, spec.dtype) for _ in range(self.num_mixes)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if self.pooling is not None or self._features_called or self.holds_texts(inputs):
            return None
        # The second part of a split layer has the mask, but no ids.
        given = inputs if isinstance(inputs, Mapping) and MASK in inputs else self.begin(inputs)
        mask = keras.ops.cast(given[MASK], "bool")
        return [mask] * self.num_mixes if self.num_mixes > 1 else mask

    def _feature_spec(self, batch: int | None, length: int | None) -> dict[str, Any]:
        shape = (batch, length, self.hidden_size)
        states = [keras.KerasTensor(shape, self.compute_dtype) for _ in range(self._last + 1)]
        return {"hidden_states": states}

    @property
    def hidden_size(self) -> int:
        return 2 * self.architecture.projection_size

    @property
    def input_names(self) -> tuple[str, ...]:
        return (IDS, MASK)

    # --- texts ------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the layer on texts, words or ids; texts and words may be plain Python lists."""
        return super().__call__(with_word_tensors(inputs, self.name), *args, **kwargs)

    def holds_texts(self, inputs: Any) -> bool:
        return holds_words(inputs)

    def texts_of(self, inputs: Any) -> tuple[Any, ...]:
        return checked_words(inputs, self.name)

    def tokenize_inputs(self, texts: Sequence[Any], pad_to: int | None = None) -> dict[str, Any]:
        """The layer's inputs of sentences (batch,), or of words (batch, words) and perhaps lengths.

        Args:
            texts: one string tensor, or that and the number of words in each row.
            pad_to: the number of words in the rows of sentences; by default those of the longest,
                and with `jit_compile` one of a few, because each length is compiled anew.
        """
        first, *lengths = texts
        if lengths or is_split(first):
            tokenizer: Any = self.tokenizer
            return tokenizer.from_words(first, *lengths)
        sentences = first if len(first.shape) == 1 else first[:, 0]
        fitting: PadTo = "buckets" if self.jit_compile else "longest"
        return self.tokenizer(sentences, pad_to=pad_to or fitting)

    def save_assets(self, folder: str) -> None:
        """Nothing: the configuration tells all of the tokenizer."""

    def load_assets(self, folder: str) -> None:
        """Nothing: the tokenizer is made from the configuration."""

    # --- what is kept between calls ---------------------------------------------------------

    def cache_vocabulary(self, words: Sequence[str]) -> None:
        """Reads words beforehand: wherever they occur later, their vectors are looked up.

        For a frozen stem, on TensorFlow without XLA. The vectors are not saved with the model;
        training the stem drops them.

        Args:
            words: such as the most frequent ones of a corpus; all others are read when they occur.
        """
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "A cache of words needs the Keras backend tensorflow. "
                f"Received: {keras.backend.backend()}"
            )
        if self.words.trainable and self.words.trainable_variables:
            raise ValueError(
                f"The stem of layer {self.name!r} trains, so that vectors of words do not stay as "
                f"they are. Freeze it with trainable_from='layer_0'. Received: "
                f"trainable_from={self.trainable_from!r}"
            )
        found = list(dict.fromkeys(words))
        rows = self.tokenizer([found], is_split=True)[IDS][0]
        self.words.remember(keras.ops.convert_to_tensor(rows))

    def _apply_depth(self, before: set[int] | None = None) -> None:
        super()._apply_depth(before)
        if self.words.trainable:
            self.words.cache = None

    def load_weights_from(self, path: str | os.PathLike[str], dialect: str = "auto") -> LoadReport:
        report = super().load_weights_from(path, dialect)
        if self.words.cache is not None:
            self.words.cache.refresh()
        return report

    def published_files(self, dialect: str) -> dict[str, bytes]:
        options = READER.config.write(asdict(self.architecture), dialect)
        return {"options.json": json.dumps(options, indent=2).encode()}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "architecture": asdict(self.architecture),
            "preset": self.preset,
            "trainable_from": self.trainable_from,
            "hidden_layers": self.hidden_layers,
            "mixes": self.num_mixes,
            **{f"mix_{name}": value for name, value in self._mix_options.items()},
            "pooling": self.pooling,
            "stateful": self.stateful,
            "state_rows": self.state_rows,
            "distinct_words": self.distinct_words,
            "max_length": self.max_length,
            "tokenizer": self.tokenizer_config,
        }


def _ends(direction: str) -> str:
    """Where the state has the begin and the end of the sentence."""
    return f"{direction}_ends"
