"""BERT and every encoder of its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import PoolerReader, no_configuration, stored_shape
from keras_pretrained.layers.transformers.bert_weights import MASKED_LM_MAPS, WEIGHT_MAPS
from keras_pretrained.layers.transformers.transformer_encoder import EncoderArchitecture
from keras_pretrained.layers.transformers.wordpiece_encoder import WordPieceEncoder
from keras_pretrained.weights import WeightMap

BertArchitecture = EncoderArchitecture

CONFIG = ConfigFormat(
    model_type="bert",
    sizes={
        "vocab_size": "vocabulary_size",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "hidden_size": "hidden_size",
        "intermediate_size": "intermediate_size",
        "max_position_embeddings": "max_positions",
        "type_vocab_size": "num_segments",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "layer_norm_eps": "layer_norm_epsilon",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_id",
    },
    required=(
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
    ),
    # google-research/bert has computed the tanh approximation since 2019-02-07, and TensorFlow
    # Model Garden always has.
    original_gelu="gelu_tanh",
    fixed={"position_embedding_type": "absolute", "is_decoder": False},
)


@dataclass(frozen=True)
class BertReader(PoolerReader):
    """How BERT's published files are read."""

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        """The architecture of a tensorflow_models checkpoint, whose kernels show the heads."""
        shape = partial(stored_shape, checkpoint, weight_map)
        table = shape("embeddings/word_embeddings")
        query = shape("layer_0/attention/query/kernel")
        if len(table) != 2 or len(query) != 3:
            raise no_configuration(checkpoint)
        layers = 0
        while shape(f"layer_{layers}/attention/query/kernel"):
            layers += 1
        return {
            "vocabulary_size": table[0],
            "hidden_size": table[1],
            "num_layers": layers,
            "num_heads": query[1],
            "intermediate_size": shape("layer_0/intermediate/kernel")[-1],
            "max_positions": shape("embeddings/position_embeddings")[0],
            "num_segments": shape("embeddings/token_type_embeddings")[0],
            "activation": "gelu_tanh",
        }


@keras.saving.register_keras_serializable(package="keras_pretrained")
class BertEncoder(WordPieceEncoder):
    """BERT as a layer: texts or token ids in, one vector a token or one a text out.

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

    architecture_class = BertArchitecture
    weight_maps = WEIGHT_MAPS
    masked_lm_maps = MASKED_LM_MAPS
    reader = BertReader("bert", CONFIG, WEIGHT_MAPS)
    config_files = MappingProxyType(
        {"hf": "config.json"}
        | dict.fromkeys(("google", "tf-models", "tf-models-objects"), "bert_config.json")
    )
