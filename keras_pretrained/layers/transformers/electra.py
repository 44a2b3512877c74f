"""`ElectraEncoder`: ELECTRA as a Keras layer, from Google's checkpoints and Hugging Face's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import SourceReader, no_configuration, stored_shape
from keras_pretrained.layers.transformers.bert import CONFIG as BERT
from keras_pretrained.layers.transformers.electra_weights import MASKED_LM_MAPS, WEIGHT_MAPS
from keras_pretrained.layers.transformers.transformer_encoder import EncoderArchitecture
from keras_pretrained.layers.transformers.wordpiece_encoder import WordPieceEncoder
from keras_pretrained.weights import WeightMap

# google-research/electra, `get_bert_config` in util/training_utils.py and `get_generator_config` in
# run_pretraining.py: one head for every 64 features, and at least one.
_HEAD_SIZE = 64


@dataclass(frozen=True)
class ElectraArchitecture(EncoderArchitecture):
    """The numbers that make an ELECTRA; see `EncoderArchitecture`.

    Args:
        embedding_size: width of the embedding tables; None: the hidden size. A projection makes
            hidden states of embeddings of another width.
    """

    pooler: bool = False
    embedding_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_size is None:
            object.__setattr__(self, "embedding_size", self.hidden_size)


CONFIG = ConfigFormat(
    model_type="electra",
    sizes={**BERT.sizes, "embedding_size": "embedding_size"},
    required=BERT.required,
    fixed=BERT.fixed,
    defaults={"embedding_size": 128},
)


@dataclass(frozen=True)
class ElectraReader(SourceReader):
    """How ELECTRA's published files are read."""

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        """The sizes of a Google checkpoint, which comes without a configuration file.

        Its authors' program takes the number of heads from the hidden size.
        """
        shape = partial(stored_shape, checkpoint, weight_map)
        table = shape("embeddings/word_embeddings")
        inner = shape("layer_0/intermediate/kernel")
        positions = shape("embeddings/position_embeddings")
        segments = shape("embeddings/token_type_embeddings")
        found = [table, inner, positions, segments]
        if weight_map.dialect == "hf" or any(len(sizes) != 2 for sizes in found):
            raise no_configuration(checkpoint)
        layers = 0
        while shape(f"layer_{layers}/intermediate/kernel"):
            layers += 1
        return {
            "vocabulary_size": table[0],
            "embedding_size": table[1],
            "hidden_size": inner[0],
            "intermediate_size": inner[1],
            "num_layers": layers,
            "num_heads": max(1, inner[0] // _HEAD_SIZE),
            "max_positions": positions[0],
            "num_segments": segments[0],
        }


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ElectraEncoder(WordPieceEncoder):
    """ELECTRA as a layer: texts or token ids in, one vector a token or one a text out.

    It has no pooler: use `pooling="cls"` or `"mean"`.

    Args:
        source: a preset name (`list_presets(family="electra")`), or a local path: a Google
            checkpoint folder, a Hugging Face folder, or one checkpoint file. Google's have no
            configuration file: the sizes are those of the tensors, with one head for every 64
            features, as in its authors' program; `architecture={"num_heads": ...}` says
            otherwise.
        trainable_from, pooling, hidden_layers, max_length, weights, lowercase: see `BertEncoder`.
        dialect: `"hf"`, `"google"`, or `"google-generator"` for the other network of a Google
            checkpoint, which is never chosen by itself.
        architecture: an `ElectraArchitecture` in place of a source, for random weights, or changes
            to the source's own.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `segment_ids`
    (default: zeros) and `padding_mask` (default: where the id is not padding; 1 = real).
    Unpooled outputs carry the padding mask.

    Example:

    ```python
    encoder = ElectraEncoder("electra-small", trainable_from=4, pooling="mean", max_length=128)
    vectors = encoder(encoder.tokenizer(["A sentence.", "Another one."]))   # (2, 256)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
    Generators](https://arxiv.org/abs/2003.10555).
    """

    architecture_class = ElectraArchitecture
    architecture: ElectraArchitecture
    weight_maps = WEIGHT_MAPS
    masked_lm_maps = MASKED_LM_MAPS
    reader = ElectraReader("electra", CONFIG, WEIGHT_MAPS)
    # Google's program writes none and needs none; without it a folder of other heads would be
    # read back as another network.
    config_files = MappingProxyType(
        dict.fromkeys(("hf", "google", "google-generator"), "config.json")
    )

    def create_embeddings(self, **options: Any) -> Any:
        return super().create_embeddings(embedding_size=self.architecture.embedding_size, **options)
