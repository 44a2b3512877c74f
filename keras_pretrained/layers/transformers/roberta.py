"""`RobertaEncoder`: RoBERTa as a Keras layer, from any checkpoint that it was published in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.checkpoints.pickled_plain import Record
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import (
    PoolerReader,
    Source,
    byte_level_tokenizer,
    no_configuration,
    stored_shape,
)
from keras_pretrained.layers.transformers.bert import CONFIG as BERT
from keras_pretrained.layers.transformers.roberta_weights import MASKED_LM_MAPS, WEIGHT_MAPS
from keras_pretrained.layers.transformers.transformer_encoder import (
    EncoderArchitecture,
    TransformerEncoder,
)
from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from keras_pretrained.weights import WeightMap, WeightsError


@dataclass(frozen=True)
class RobertaArchitecture(EncoderArchitecture):
    """The numbers that make a RoBERTa; see `EncoderArchitecture`.

    `max_positions` is the longest input, 512: the position table has `pad_id + 1` rows more, which
    are no positions, and `config.json` states their sum, 514.
    """

    num_segments: int = 1
    layer_norm_epsilon: float = 1e-5
    pooler: bool = False
    pad_id: int = 1

    @property
    def position_offset(self) -> int:
        """Rows of the position table that are no positions."""
        return self.pad_id + 1


@dataclass(frozen=True)
class RobertaConfigFormat(ConfigFormat):
    """Counts the rows of the position table where the architecture counts positions."""

    def read(self, config: Mapping[str, Any], origin: str, dialect: str) -> dict[str, Any]:
        sizes = super().read(config, origin, dialect)
        pad_id = sizes.get("pad_id", RobertaArchitecture.pad_id)
        return {**sizes, "max_positions": _positions(sizes["max_positions"], pad_id, origin)}

    def write(self, architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        rows = architecture["max_positions"] + architecture["pad_id"] + 1
        return super().write({**architecture, "max_positions": rows}, dialect)


def _positions(rows: int, pad_id: int, origin: str) -> int:
    """How many positions a position table of that many rows has."""
    others = pad_id + 1
    if rows <= others:
        raise ValueError(
            f"{origin} has a position table of {rows} rows, of which {others} are no positions "
            "(the id of padding, and one). Expected more."
        )
    return rows - others


CONFIG = RobertaConfigFormat(
    model_type="roberta",
    sizes=BERT.sizes,
    required=BERT.required,
    fixed=BERT.fixed,
    # Those of transformers' RobertaConfig: BERT's, and not those of the published networks.
    defaults={"max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12},
)

# fairseq's settings -> entries of the architecture.
_SETTINGS = {
    "encoder_layers": "num_layers",
    "encoder_attention_heads": "num_heads",
    "encoder_embed_dim": "hidden_size",
    "encoder_ffn_embed_dim": "intermediate_size",
    "max_positions": "max_positions",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
}
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True)
class RobertaReader(PoolerReader):
    """How RoBERTa's published files are read."""

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        """The architecture of a fairseq checkpoint, from its tensors and its stored settings."""
        table = stored_shape(checkpoint, weight_map, "embeddings/word_embeddings")
        positions = stored_shape(checkpoint, weight_map, "embeddings/position_embeddings")
        inner = stored_shape(checkpoint, weight_map, "layer_0/intermediate/kernel")
        heads = _setting(checkpoint, "encoder_attention_heads")
        if not (len(table) == len(positions) == len(inner) == 2) or type(heads) is not int:
            raise no_configuration(checkpoint)
        layers = 0
        while stored_shape(checkpoint, weight_map, f"layer_{layers}/intermediate/kernel"):
            layers += 1
        activation = _setting(checkpoint, "activation_fn") or "gelu"
        if activation not in _ACTIVATIONS:
            raise WeightsError(
                f"The settings in {str(checkpoint.path)!r} name the activation {activation!r}. "
                f"Expected one of: {', '.join(_ACTIVATIONS)}."
            )
        rates = {name: _setting(checkpoint, name) for name in ("dropout", "attention_dropout")}
        return {
            "vocabulary_size": table[0],
            "hidden_size": table[1],
            "num_layers": layers,
            "num_heads": heads,
            "intermediate_size": inner[0],
            "max_positions": _positions(
                positions[0], RobertaArchitecture.pad_id, str(checkpoint.path)
            ),
            "activation": _ACTIVATIONS[activation],
            **{name: rate for name, rate in rates.items() if type(rate) is float},
        }


def _setting(checkpoint: Checkpoint, name: str) -> Any:
    """One of the settings that fairseq stores beside the weights; the place changed in 2021."""
    places = (f"args.{name}", f"cfg.model.{name}")
    found = (checkpoint.metadata[place] for place in places if place in checkpoint.metadata)
    return next(found, None)


@keras.saving.register_keras_serializable(package="keras_pretrained")
class RobertaEncoder(TransformerEncoder):
    """RoBERTa as a layer: texts or token ids in, one vector a token or one a text out.

    It differs from `BertEncoder` in what it reads: positions are counted over real tokens and so do
    not depend on the side of the padding, and there are no segments. Padding has the id 1. The
    published networks have no pooler: use `pooling="cls"` or `"mean"`.

    Args:
        source: a preset name (`list_presets(family="roberta")`), or a local path: a Hugging Face
            folder, or fairseq's `model.pt` or its folder, which holds the sizes itself. Texts need
            `vocab.json` and `merges.txt`, `tokenizer.json`, or fairseq's `dict.txt` with
            `encoder.json` and `vocab.bpe` in the folder.
        trainable_from, pooling, hidden_layers, max_length, weights: see `BertEncoder`.
        dialect: naming scheme of the checkpoint (`"hf"`, `"fairseq"`), when it cannot be told from
            the names.
        lowercase: not for this family, whose vocabulary has both cases.
        architecture: a `RobertaArchitecture` in place of a source, for random weights, or changes
            to the source's own.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `padding_mask`
    (default: where the id is not padding; 1 = real).

    Example:

    ```python
    encoder = RobertaEncoder("roberta-base", trainable_from=8, pooling="mean", max_length=128)
    vectors = encoder(encoder.tokenizer(["A sentence.", "Another one."]))   # (2, 768)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [RoBERTa: A Robustly Optimized BERT Pretraining
    Approach](https://arxiv.org/abs/1907.11692).
    """

    architecture_class = RobertaArchitecture
    weight_maps = WEIGHT_MAPS
    masked_lm_maps = MASKED_LM_MAPS
    reader = RobertaReader("roberta", CONFIG, WEIGHT_MAPS)
    tokenizer_class = ByteLevelBPETokenizer
    config_files = MappingProxyType({"hf": "config.json"})
    architecture: RobertaArchitecture

    @property
    def position_offset(self) -> int:
        return self.architecture.position_offset

    def source_tokenizer(self, found: Source, lowercase: bool | None) -> Any:
        if lowercase is not None:
            raise ValueError(
                "RoBERTa's vocabulary has both cases: `lowercase` must be None. Lower-case the "
                f"texts instead. Received: lowercase={lowercase!r}"
            )
        return byte_level_tokenizer(found, special="roberta", max_length=self.max_length)

    def stored_content(self, tensors: Mapping[str, Any], dialect: str) -> Mapping[str, Any]:
        """fairseq's files keep the tensors under `model`, and the sizes beside them."""
        if dialect != "fairseq":
            return tensors
        settings = {theirs: getattr(self.architecture, ours) for theirs, ours in _SETTINGS.items()}
        activations = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
        settings |= {
            "arch": "roberta_base",
            "task": "masked_lm",
            "activation_fn": activations[self.architecture.activation],
        }
        content: dict[str, Any] = {"args": Record("argparse.Namespace", state=settings)}
        for name, tensor in tensors.items():
            place = content
            if name.startswith("model."):
                place = content.setdefault("model", {})
            place[name.removeprefix("model.")] = tensor
        return content
