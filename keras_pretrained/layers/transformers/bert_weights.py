"""The names of BERT's variables in every dialect that it was published in."""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_rules import (
    Names,
    encoder_rules,
    google_rules,
    hf_rules,
    named,
    torch_rules,
)
from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import IDENTITY, Reshape

# TensorFlow Model Garden keeps the heads as an axis of the attention kernels.
_TO_HEADS = (
    Reshape(("hidden_size", "num_heads", "head_size"), ("hidden_size", "hidden_size")),
    Reshape(("num_heads", "head_size"), ("hidden_size",)),
)
_FROM_HEADS = (
    Reshape(("num_heads", "head_size", "hidden_size"), ("hidden_size", "hidden_size")),
    IDENTITY,
)

HF = WeightMap(
    "hf",
    # Files converted before 2019 kept TensorFlow's names of the two vectors.
    hf_rules(norm_spellings=(".weight .bias", ".gamma .beta")),
    ignore={
        r"(bert\.)?embeddings\.(position_ids|token_type_ids)": "a buffer, not a weight",
        r"cls\..*": "a pre-training head",
        r"(classifier|qa_outputs)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "bert."),
)

GOOGLE = WeightMap(
    "google",
    google_rules("bert/", {"pooler": "bert/pooler/dense"}),
    ignore={
        r".*/adam_[mv]": "an optimizer slot",
        r".*AdamWeightDecayOptimizer.*": "an optimizer slot",
        r"global_step|(good_steps|loss_scale)": "the state of a training run",
        r"cls/.*": "a pre-training or question-answering head",
        r"output_(weights|bias)": "a task head of a fine-tuned model",
    },
    container="tf-bundle",
    file_name="bert_model.ckpt",
)

_GARDEN_IGNORE = {
    r"do_lower_case|Variable": "a setting of the tokenizer",
    r"save_counter|.*_CHECKPOINTABLE_OBJECT_GRAPH": "bookkeeping of the container",
    r"(bert/)?cls/.*|predictions/.*": "a pre-training head",
    r"masked_lm/(dense|layer_norm)/.*|masked_lm/output_bias.*": "a pre-training head",
}


def _garden(
    dialect: str,
    prefixes: tuple[str, ...],
    tables: Names,
    dense: Names,
    norms: Names,
    also: tuple[Rule, ...] = (),
) -> WeightMap:
    """A map of TensorFlow Model Garden from its names of tables, dense layers and norms."""
    rules = encoder_rules(tables, dense, norms, to_heads=_TO_HEADS, from_heads=_FROM_HEADS)
    return WeightMap(
        dialect,
        (*rules, *also),
        _GARDEN_IGNORE,
        prefixes,
        container="tf-bundle",
        file_name="bert_model.ckpt",
    )


TF_MODELS = _garden(
    "tf-models",
    ("",),
    {
        "word_embeddings": "word_embeddings/embeddings",
        "position_embeddings": "position_embedding/embeddings",
        "token_type_embeddings": "type_embeddings/embeddings",
    },
    named(
        "transformer/layer_{i}/",
        {
            "attention/query": "self_attention/query",
            "attention/key": "self_attention/key",
            "attention/value": "self_attention/value",
            "attention/output_projection": "self_attention/attention_output",
            "intermediate": "intermediate",
            "output_projection": "output",
        },
        {"pooler": "pooler_transform"},
    ),
    named(
        "transformer/layer_{i}/",
        {"attention_norm": "self_attention_layer_norm", "output_norm": "output_layer_norm"},
        {"embeddings/norm": "embeddings/layer_norm"},
    ),
)

# The object-based checkpoints number the layers of the network that have weights.
TF_MODELS_OBJECTS = _garden(
    "tf-models-objects",
    ("model/", "encoder/", ""),
    {
        "word_embeddings": "layer_with_weights-0/embeddings",
        "position_embeddings": "layer_with_weights-1/embeddings",
        "token_type_embeddings": "layer_with_weights-2/embeddings",
    },
    named(
        "layer_with_weights-{i+4}/",
        {
            "attention/query": "_attention_layer/_query_dense",
            "attention/key": "_attention_layer/_key_dense",
            "attention/value": "_attention_layer/_value_dense",
            "attention/output_projection": "_attention_layer/_output_dense",
            "intermediate": "_intermediate_dense",
            "output_projection": "_output_dense",
        },
        {"pooler": "layer_with_weights-{num_layers+4}"},
    ),
    named(
        "layer_with_weights-{i+4}/",
        {"attention_norm": "_attention_layer_norm", "output_norm": "_output_layer_norm"},
        {"embeddings/norm": "layer_with_weights-3"},
    ),
    # A pre-training network keeps its tied table under the head alone.
    also=(Rule("embeddings/word_embeddings", "masked_lm/embedding_table"),),
)

WEIGHT_MAPS = (HF, GOOGLE, TF_MODELS, TF_MODELS_OBJECTS)

_TRANSFORM = "cls/predictions/transform/"
MASKED_LM_GOOGLE = WeightMap(
    "google",
    (
        *encoder_rules({}, {"dense": f"{_TRANSFORM}dense"}, {"norm": f"{_TRANSFORM}LayerNorm"}),
        Rule("bias", "cls/predictions/output_bias"),
    ),
)

MASKED_LM_MAPS = (
    WeightMap(
        "hf",
        (
            *torch_rules(
                {"word_embeddings": "cls.predictions.decoder.weight"},
                {"dense": "cls.predictions.transform.dense"},
                {"norm": "cls.predictions.transform.LayerNorm"},
                norm_spellings=(".weight .bias", ".gamma .beta"),
            ),
            Rule("bias", "cls.predictions.bias"),
            Rule("bias", "cls.predictions.decoder.bias"),
        ),
    ),
    MASKED_LM_GOOGLE,
    WeightMap(
        "tf-models-objects",
        (
            *encoder_rules({}, {"dense": "masked_lm/dense"}, {"norm": "masked_lm/layer_norm"}),
            # The variable is called output_bias/bias; object graphs write a slash so.
            Rule("bias", "masked_lm/output_bias.Sbias"),
        ),
    ),
)
