"""`DistilBertEncoder`: DistilBERT as a Keras layer."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.layers.text.encoder_source import SourceReader
from keras_pretrained.layers.transformers.distilbert_weights import MASKED_LM_MAPS, WEIGHT_MAPS
from keras_pretrained.layers.transformers.transformer_encoder import EncoderArchitecture
from keras_pretrained.layers.transformers.wordpiece_encoder import WordPieceEncoder


@dataclass(frozen=True)
class DistilBertArchitecture(EncoderArchitecture):
    """The numbers that make a DistilBERT; see `EncoderArchitecture`."""

    num_segments: int = 0
    pooler: bool = False


CONFIG = ConfigFormat(
    model_type="distilbert",
    # Positions are read from the file whatever `sinusoidal_pos_embds` says: it tells how the stored
    # table was filled. The epsilon is no setting: transformers computes with 1e-12.
    sizes={
        "vocab_size": "vocabulary_size",
        "n_layers": "num_layers",
        "n_heads": "num_heads",
        "dim": "hidden_size",
        "hidden_dim": "intermediate_size",
        "max_position_embeddings": "max_positions",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_id",
    },
    required=("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim"),
    activation="activation",
)


@keras.saving.register_keras_serializable(package="keras_pretrained")
class DistilBertEncoder(WordPieceEncoder):
    """DistilBERT as a layer: texts or token ids in, one vector a token or one a text out.

    A BERT of half as many blocks, without segments and without a pooler: use `pooling="cls"` or
    `"mean"`.

    Args:
        source: a preset name (`list_presets(family="distilbert")`), or a local path: a Hugging Face
            folder or checkpoint file.
        trainable_from, pooling, hidden_layers, max_length, weights, lowercase: see `BertEncoder`.
        dialect: `"hf"`, the only one.
        architecture: a `DistilBertArchitecture` in place of a source, for random weights, or
            changes to the source's own.
        tokenizer: a tokenizer in place of the source's.

    Inputs: int32 `token_ids` (batch, length), or a dictionary that may add `padding_mask`
    (default: where the id is not padding; 1 = real). A row that is all padding gives finite
    numbers; the original gives none.

    Example:

    ```python
    encoder = DistilBertEncoder("distilbert-base", trainable_from=4, pooling="mean")
    vectors = encoder(encoder.tokenizer(["A sentence.", "Another one."]))   # (2, 768)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `WeightsError` when the checkpoint
            does not fit, listing every tensor that does not.

    Reference: [DistilBERT, a distilled version of BERT: smaller, faster, cheaper and
    lighter](https://arxiv.org/abs/1910.01108).
    """

    architecture_class = DistilBertArchitecture
    weight_maps = WEIGHT_MAPS
    masked_lm_maps = MASKED_LM_MAPS
    reader = SourceReader("distilbert", CONFIG, WEIGHT_MAPS)
