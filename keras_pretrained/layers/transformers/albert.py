"""`AlbertEncoder`: ALBERT as a Keras layer, from Google's checkpoints and Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import PoolerReader, Source, holds
from keras_pretrained.layers.transformers.albert_weights import MASKED_LM_MAPS, WEIGHT_MAPS
from keras_pretrained.layers.transformers.bert import CONFIG as BERT
from keras_pretrained.layers.transformers.transformer_encoder import (
    EncoderArchitecture,
    TransformerEncoder,
)
from keras_pretrained.tokenizers import SentencePieceTokenizer, Tokenizer, WordPieceTokenizer
from keras_pretrained.weights import WeightMap


@dataclass(frozen=True)
class AlbertArchitecture(EncoderArchitecture):
    """The numbers that make an ALBERT; see `EncoderArchitecture`.

    Args:
        embedding_size: width of the embedding tables.
        num_groups: groups of layers; those of one group have the same weights.
        projection: whether a projection makes hidden states of embeddings; None: when the two
            have different widths.
    """

    activation: str = "gelu_tanh"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    embedding_size: int = 128
    num_groups: int = 1
    projection: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.num_groups <= self.num_layers:
            raise ValueError(
                f"num_groups must lie between 1 and num_layers={self.num_layers}. "
                f"Received: {self.num_groups}"
            )

    @property
    def block_of(self) -> list[int]:
        """For each layer the number of the group whose weights it uses."""
        return [
            int(index / (self.num_layers / self.num_groups)) for index in range(self.num_layers)
        ]


CONFIG = ConfigFormat(
    model_type="albert",
    sizes={
        **BERT.sizes,
        "embedding_size": "embedding_size",
        "num_hidden_groups": "num_groups",
    },
    required=BERT.required,
    original_gelu="gelu_tanh",
    # More than one inner layer would be a group of different layers; none was ever published.
    fixed={"inner_group_num": 1, "position_embedding_type": "absolute"},
    defaults={"hidden_act": "gelu_new"},
)


@dataclass(frozen=True)
class AlbertReader(PoolerReader):
    """How ALBERT's published files are read."""

    def held_architecture(
        self, checkpoint: Checkpoint, weight_map: WeightMap, architecture: Mapping[str, Any]
    ) -> dict[str, Any]:
        held = super().held_architecture(checkpoint, weight_map, architecture)
        # transformers projects embeddings of the right width, too.
        if holds(checkpoint, weight_map, "embeddings/projection/kernel", {}):
            held["projection"] = True
        return held


@keras.saving.register_keras_serializable(package="keras_pretrained")
class AlbertEncoder(TransformerEncoder):
    """ALBERT as a layer: texts or token ids in, one vector a token or one a text out.

    All layers of a group have the same weights, so a group is one stage of the depth: with the
    published networks, which have a single group, `trainable_from` is `0`, `"layer_0"` (the
    embeddings are frozen), `"pooler"` or None. `hidden_layers` counts layers all the same.

    Args:
        source: a preset name (`list_presets(family="albert")`), or a local path: a Google
            checkpoint folder (`model.ckpt-best`, `albert_config.json`, and `30k-clean.model` or,
            of the Chinese networks, a `vocab.txt`), a
            Hugging Face folder, or one checkpoint file with its configuration beside it.
        trainable_from, pooling, hidden_layers, max_length, weights: see `BertEncoder`.
        dialect: `"hf"` or `"google"`, when it cannot be told from the names.
        lowercase: whether texts are lower-cased; by default what the source says, else True.
        architecture: an `AlbertArchitecture` in place of a source, for random weights, or changes
            to the source's own.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `segment_ids`
    (default: zeros) and `padding_mask` (default: where the id is not padding; 1 = real).
    Unpooled outputs carry the padding mask.

    Example:

    ```python
    encoder = AlbertEncoder("albert-base-v2", pooling="mean", max_length=128)
    vectors = encoder(encoder.tokenizer(["A sentence.", "Another one."]))   # (2, 768)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [ALBERT: A Lite BERT for Self-supervised Learning of Language
    Representations](https://arxiv.org/abs/1909.11942).
    """

    architecture_class = AlbertArchitecture
    architecture: AlbertArchitecture
    weight_maps = WEIGHT_MAPS
    masked_lm_maps = MASKED_LM_MAPS
    reader = AlbertReader("albert", CONFIG, WEIGHT_MAPS)
    tokenizer_class = SentencePieceTokenizer
    config_files = MappingProxyType({"hf": "config.json", "google": "albert_config.json"})

    def create_embeddings(self, **options: Any) -> Any:
        return super().create_embeddings(
            embedding_size=self.architecture.embedding_size,
            projection=self.architecture.projection,
            **options,
        )

    @property
    def block_of(self) -> list[int]:
        return self.architecture.block_of

    def source_tokenizer(self, found: Source, lowercase: bool | None) -> Tokenizer | None:
        vocabulary = found.files.get("vocabulary")
        if vocabulary is None:
            return None
        lowercase = found.lowercase if lowercase is None else lowercase
        if vocabulary.suffix == ".txt":
            return WordPieceTokenizer(vocabulary, lowercase=lowercase, max_length=self.max_length)
        return SentencePieceTokenizer(
            vocabulary, lowercase=lowercase is not False, max_length=self.max_length
        )

    def empty_tokenizer(self, config: Mapping[str, Any]) -> Tokenizer:
        # Only word pieces may split Chinese characters.
        kind = WordPieceTokenizer if "split_chinese" in config else SentencePieceTokenizer
        return kind.from_config(dict(config))

    def published_files(self, dialect: str) -> dict[str, bytes]:
        files = super().published_files(dialect)
        if dialect == "google" and "spiece.model" in files:
            files["30k-clean.model"] = files.pop("spiece.model")
        return files
