"""What every text encoder shares: its inputs, its mask, its outputs and its tokenizer."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import keras

from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.blocks.packing import TEXT_STARTS, pooled_texts
from keras_pretrained.layers.blocks.pooling import POOLING, pooled_parts
from keras_pretrained.layers.blocks.scalar_mix import ScalarMix
from keras_pretrained.layers.blocks.tensorflow import (
    CompiledParts,
    compile_update,
    has_gpu,
    in_step,
)
from keras_pretrained.layers.call_stack import calling_model
from keras_pretrained.layers.depth import StageCall, State
from keras_pretrained.layers.text.ids import check_range
from keras_pretrained.layers.text.strings import (
    checked_strings,
    holds_strings,
    turn_whole_step_compilation_off,
    with_string_tensors,
)
from keras_pretrained.tokenizers import Tokenizer

HiddenLayers = int | list[int] | str


class TextEncoder(PretrainedLayer):
    """Texts or token ids -> one vector a token, or one a text.

    A subclass passes hidden states from stage to stage under the key `"hidden"` and calls
    `record` behind the embeddings and behind every block.

    Attributes:
        tokenizer_class: of the family's tokenizer.
        takes_words: whether texts may be split: strings of shape (batch, words).

    Args:
        jit_compile: whether a model on strings, which cannot be compiled as a whole, runs this
            layer and the optimizer's update under XLA. `"auto"`: when it trains, and elsewhere
            where Keras compiles by default, on a GPU. Models on ids follow their own
            `compile(jit_compile=...)`.
    """

    tokenizer_class: ClassVar[type[Tokenizer]]
    takes_words: ClassVar[bool] = False
    architecture: Any

    def __init__(self, *, jit_compile: bool | str = "auto", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"`jit_compile` must be True, False or 'auto'. Received: {jit_compile!r}"
            )
        self.jit_compile = jit_compile

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "jit_compile": self.jit_compile}

    def configure_outputs(
        self,
        num_layers: int,
        pooling: str | None,
        hidden_layers: HiddenLayers,
        has_pooler: bool = False,
    ) -> None:
        """Checks and keeps what the layer returns; `num_layers` blocks follow the embeddings."""
        allowed = [None, *(["pooler"] if has_pooler else []), *POOLING]
        if pooling == "pooler" and not has_pooler:
            raise ValueError(
                "pooling='pooler' needs the original pooler, which this network does not have. "
                f"Expected one of {allowed}."
            )
        if pooling not in allowed:
            raise ValueError(f"`pooling` must be one of {allowed}. Received: {pooling!r}")
        self.pooling = pooling
        self._selected = _positions(hidden_layers, num_layers)
        if isinstance(hidden_layers, list | tuple):
            hidden_layers = [operator.index(index) for index in hidden_layers]
        self.hidden_layers = hidden_layers
        if pooling == "pooler" and self._selected != [num_layers]:
            raise ValueError(
                "The original pooler reads the last hidden state: pooling='pooler' needs "
                f"hidden_layers=-1. Received: hidden_layers={hidden_layers!r}"
            )
        self._last = num_layers
        self.mix = self.new_mix("mix") if hidden_layers == "mix" else None
        if pooling == "pooler":
            self.use_heads()
        self.supports_masking = True
        self._features_called = False
        self._compiled_parts = CompiledParts()

    def new_mix(self, name: str) -> ScalarMix:
        """The mix of hidden states that `hidden_layers="mix"` asks for."""
        return ScalarMix(dtype=self.dtype_policy, name=name)

    # --- running ----------------------------------------------------------------------------

    def holds_texts(self, inputs: Any) -> bool:
        """Whether inputs are to be tokenized."""
        return holds_strings(inputs)

    def texts_of(self, inputs: Any) -> tuple[Any, ...]:
        """What `tokenize_inputs` takes of inputs that are to be tokenized, checked."""
        return checked_strings(inputs, self.name, self.takes_words)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the layer on texts or ids; the texts may be plain Python strings."""
        tensors = with_string_tensors(inputs, self.name, self.takes_words)
        check_range(tensors, self.id_counts, self.name)
        return super().__call__(tensors, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, features: bool = False) -> Any:
        if not self.holds_texts(inputs):
            return super().call(inputs, training=training, features=features)
        ids = self.tokenize_inputs(self.texts_of(inputs))
        result = self._call_on_ids(ids, training=bool(training), features=features)
        if self.pooling is None and not features:
            # Keras would ask for the mask of the strings, which only the ids have.
            mask = keras.ops.cast(ids["padding_mask"], "bool")
            for output in keras.tree.flatten(result):
                output._keras_mask = mask
        return result

    def _call_on_ids(self, ids: State, training: bool, features: bool) -> Any:
        """The network behind a string front, compiled as a model on ids would be."""
        model = calling_model()

        def network(ids: State) -> Any:
            return PretrainedLayer.call(self, ids, training=training, features=features)

        wanted = training or has_gpu() if self.jit_compile == "auto" else self.jit_compile
        if not (in_step(model) and wanted):
            return network(ids)
        if training and model is not None and model.optimizer is not None:
            compile_update(model.optimizer)
        depth = self._first_trainable if self.trainable else len(self.stages)
        key = (training, features, depth, self._open_stages)
        return self._compiled_parts.run(key, network, ids)

    def tokenize_inputs(self, texts: Sequence[Any], pad_to: int | None = None) -> dict[str, Any]:
        """The layer's inputs of a text `(batch,)` or a pair: as the layer itself makes them.

        Args:
            texts: one or two string tensors or arrays; an axis of one behind the batch goes.
            pad_to: the length of the rows; by default one of a few (32, 64, ... `max_length`),
                because each length is compiled anew.
        """
        sides = tuple(side if len(side.shape) == 1 else side[:, 0] for side in texts)
        given = sides if len(sides) == 2 else sides[0]
        ids = self.tokenizer(given, pad_to=pad_to or "buckets")
        return {name: ids[name] for name in self.input_names if name in ids}

    def begin(self, inputs: Any) -> State:
        ops = keras.ops
        given = dict(inputs) if isinstance(inputs, Mapping) else {"token_ids": inputs}
        unknown = sorted(set(given) - {*self.input_names, *self.optional_inputs})
        if unknown or "token_ids" not in given:
            names = ", ".join(self.input_names)
            raise ValueError(
                f"Layer {self.name!r} takes token ids or a dictionary of {names}, of "
                f"which only token_ids is required. Received: {', '.join(map(str, given))}"
            )
        token_ids = self._checked_ids(given["token_ids"])
        state = {
            "token_ids": token_ids,
            "padding_mask": self._mask(token_ids, given.get("padding_mask")),
        }
        if "segment_ids" in self.input_names:
            segment_ids = given.get("segment_ids")
            if segment_ids is None:
                segment_ids = ops.zeros_like(token_ids)
            state["segment_ids"] = ops.cast(segment_ids, "int32")
        if TEXT_STARTS in given:
            state[TEXT_STARTS] = ops.cast(given[TEXT_STARTS], "int32")
        return state

    def _checked_ids(self, token_ids: Any) -> Any:
        dtype = keras.backend.standardize_dtype(token_ids.dtype)
        if len(token_ids.shape) != 2 or "int" not in dtype:
            raise ValueError(
                f"Layer {self.name!r} takes integer token_ids of shape (batch, length). "
                f"Received: {dtype} of shape {tuple(token_ids.shape)}"
            )
        return keras.ops.cast(token_ids, "int32")

    def _mask(self, token_ids: Any, padding_mask: Any) -> Any:
        if padding_mask is None:
            padding_mask = keras.ops.not_equal(token_ids, self.pad_id)
        return keras.ops.cast(padding_mask, "int32")

    def in_use(self, index: int) -> bool:
        # Stage 0 makes hidden state 0, and so on: no output reads what lies behind the last
        # selected one, unless it is a head's.
        return self._heads_in_use or index <= self.stage_of(max(self._selected))

    def stage_of(self, hidden_state: int) -> int:
        """The index of the stage that makes a hidden state."""
        return hidden_state

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the layer takes, `token_ids` first."""
        return ("token_ids", "segment_ids", "padding_mask")

    @property
    def id_counts(self) -> dict[str, int]:
        """Input of ids -> how many ids there are of it; what stands for a single input first."""
        return {self.input_names[0]: self.architecture.vocabulary_size}

    @property
    def optional_inputs(self) -> tuple[str, ...]:
        """What the layer takes besides; `text_starts` where a row may hold several texts."""
        return ()

    @property
    def pad_id(self) -> int:
        """The id that stands for padding when no mask is given."""
        return 0

    def record(self, state: State, index: int, call: StageCall) -> State:
        """Keeps `state["hidden"]` as hidden state `index` when an output needs it later."""
        if call.features or (index in self._selected and self._selected != [self._last]):
            state[f"hidden_state_{index}"] = state["hidden"]
        return state

    def finish(self, state: State, call: StageCall) -> Any:
        self._features_called = call.features
        if call.features:
            return self._all_features(state)
        if self.pooling == "pooler":
            return state["pooled"]
        if self.mix is not None:
            hidden = self.mix([state[f"hidden_state_{index}"] for index in self._selected])
        elif self._selected == [self._last]:
            hidden = state["hidden"]
        else:
            parts = [state[f"hidden_state_{index}"] for index in self._selected]
            hidden = keras.ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if self.pooling is None:
            return hidden
        if TEXT_STARTS in state:
            starts = state[TEXT_STARTS]
            return pooled_texts(hidden, state["padding_mask"], starts, self.pooling)
        return POOLING[self.pooling](hidden, state["padding_mask"])

    def _all_features(self, state: State) -> dict[str, Any]:
        count = self._last
        found: dict[str, Any] = {
            "hidden_states": [state[f"hidden_state_{index}"] for index in range(count + 1)],
            "attentions": [state[f"attention_{index}"] for index in range(count)],
        }
        for name in ("pooled", "logits"):
            if name in state:
                found[name] = state[name]
        return found

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if self.pooling is not None or self._features_called or self.holds_texts(inputs):
            return None
        given = inputs if isinstance(inputs, Mapping) else {"token_ids": inputs}
        mask = given.get("padding_mask")
        if mask is None:
            return keras.ops.not_equal(given["token_ids"], self.pad_id)
        return keras.ops.cast(mask, "bool")

    def with_options(self, **options: Any) -> Self:
        """A new layer with these weights and this vocabulary, and other options.

        Args:
            **options: of the constructor, in place of this layer's own.

        Example:

        ```python
        model = applications.MaskedLanguageModel("bert-base")
        model.fit(texts)
        encoder = model.backbone.with_options(pooling="cls")
        classifier = applications.TextClassifier(encoder, classes=2)
        ```
        """
        config = {**self.get_config(), "tokenizer": self._tokenizer}
        del config["name"]
        made = type(self).from_config({**config, **options})
        made.load_report = self.load_report
        values = self.network_variables()
        for path, variable in made.network_variables().items():
            variable.assign(values[path])
        return made

    # --- shapes -----------------------------------------------------------------------------

    def build_new(self) -> None:
        if self.mix is not None:
            self.mix.build([(None, None, self.hidden_size)] * len(self._selected))

    def new_layers(self) -> list[keras.layers.Layer]:
        return [] if self.mix is None else [self.mix]

    @property
    def hidden_size(self) -> int:
        """Width of one hidden state."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """Width of the layer's output."""
        states = 1 if self.mix is not None else len(self._selected)
        return self.hidden_size * states * pooled_parts(self.pooling)

    def symbolic_inputs(self) -> dict[str, Any]:
        return {name: keras.Input((None,), dtype="int32", name=name) for name in self.input_names}

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, features: bool = False
    ) -> Any:
        texts: tuple[int | None, ...] = ()
        # A symbolic call must fail on wrong inputs as a real one does.
        if self.holds_texts(inputs):
            batch, length = self._checked_texts(inputs), None
        else:
            state = self.begin(inputs)
            batch, length = state["padding_mask"].shape
            if TEXT_STARTS in state:
                texts = (state[TEXT_STARTS].shape[1],)
        self.remember_caller()
        self._features_called = features
        if features:
            self.use_heads()
            return self._feature_spec(batch, length)
        shape = (batch, length) if self.pooling is None else (batch, *texts)
        return keras.KerasTensor((*shape, self.output_size), dtype=self.compute_dtype)

    def _checked_texts(self, inputs: Any) -> int | None:
        """The batch size of string placeholders."""
        sides = self.texts_of(inputs)
        if self._tokenizer is None and self._assets_config is None:
            _ = self.tokenizer  # Says that there is none. From a configuration it comes later.
        turn_whole_step_compilation_off(sides)
        return sides[0].shape[0]

    def _feature_spec(self, batch: int | None, length: int | None) -> dict[str, Any]:
        def tensor(*shape: int | None) -> Any:
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        found: dict[str, Any] = {
            "hidden_states": [
                tensor(batch, length, self.hidden_size) for _ in range(self._last + 1)
            ],
            "attentions": [
                tensor(batch, self.num_heads, length, length) for _ in range(self._last)
            ],
        }
        if any(stage.name == "pooler" for stage in self.stages):
            found["pooled"] = tensor(batch, self.hidden_size)
        return found

    @property
    def num_heads(self) -> int:
        """Attention heads of a block."""
        raise NotImplementedError

    # --- the tokenizer ----------------------------------------------------------------------

    @property
    def has_tokenizer(self) -> bool:
        """Whether the layer has a vocabulary."""
        return self._tokenizer is not None

    @property
    def tokenizer(self) -> Tokenizer:
        """Texts -> the layer's inputs, with the checkpoint's own vocabulary."""
        if self._tokenizer is None:
            why = "from an architecture or from weights without one"
            if self._assets_config is not None:
                why = (
                    "from a configuration, which does not hold it; `keras.models.load_model` reads "
                    "it from a `.keras` file, and `keras.models.clone_model(model, "
                    "clone_function=lambda layer: layer)` keeps the layers of a nested model"
                )
            raise ValueError(
                f"Layer {self.name!r} has no vocabulary: it was made {why}. Pass token ids, or "
                f"give the layer a tokenizer with `tokenizer={self.tokenizer_class.__name__}(...)`."
            )
        return self._tokenizer

    @property
    def tokenizer_config(self) -> dict[str, Any] | None:
        """The tokenizer's part of the configuration; a copy made in this process shares it."""
        if self._tokenizer is not None:
            return TokenizerConfig(self._tokenizer)
        return self._assets_config

    def configure_tokenizer(self, tokenizer: Tokenizer | Mapping[str, Any] | None) -> None:
        """Keeps a tokenizer; from a configuration it is filled by `load_assets` later."""
        self._tokenizer: Tokenizer | None = None
        self._assets_config: dict[str, Any] | None = None
        if isinstance(tokenizer, TokenizerConfig):
            self._tokenizer = tokenizer.tokenizer
        elif isinstance(tokenizer, Mapping):
            self._assets_config = dict(tokenizer)
        else:
            self._tokenizer = tokenizer

    def empty_tokenizer(self, config: Mapping[str, Any]) -> Tokenizer:
        """The tokenizer of a configuration, whose vocabulary comes later."""
        return self.tokenizer_class.from_config(dict(config))

    def save_assets(self, folder: str) -> None:
        """Writes the vocabulary; Keras calls this when it saves a model."""
        if self._tokenizer is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._tokenizer.save_assets(folder)

    def load_assets(self, folder: str) -> None:
        """Reads the vocabulary; Keras calls this after the layer was made from its config."""
        config = self.tokenizer_config
        if config is not None and Path(folder).is_dir():
            tokenizer = self.empty_tokenizer(config)
            tokenizer.load_assets(folder)
            self._tokenizer = tokenizer


class TokenizerConfig(dict[str, Any]):
    """A tokenizer's configuration that still holds the tokenizer itself.

    `keras.models.clone_model` makes layers from configurations, and no assets follow. In a file
    this is a plain dictionary.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.get_config())
        self.tokenizer = tokenizer

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenizerConfig:
        return TokenizerConfig(self.tokenizer)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def _positions(hidden_layers: HiddenLayers, num_layers: int) -> list[int]:
    """The hidden states, 0 = embeddings, that `hidden_layers` names."""
    count = num_layers + 1
    if isinstance(hidden_layers, str):
        if hidden_layers in ("all", "mix"):
            return list(range(count))
    else:
        asked = hidden_layers if isinstance(hidden_layers, list | tuple) else [hidden_layers]
        try:
            found = [operator.index(index) for index in asked]
        except TypeError:
            found = []
        if found and all(-count <= index < count for index in found):
            return [index % count for index in found]
    raise ValueError(
        f"`hidden_layers` must be 'all', 'mix', or positions from {-count} to {num_layers} "
        f"(0 = embeddings, -1 = last block), one or a list. Received: {hidden_layers!r}"
    )
