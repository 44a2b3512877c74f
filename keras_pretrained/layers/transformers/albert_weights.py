"""The names of ALBERT's variables in every dialect that it was published in."""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_rules import encoder_rules, named, torch_rules
from keras_pretrained.layers.transformers.bert_weights import MASKED_LM_GOOGLE
from keras_pretrained.weights import Rule, WeightMap

HF = WeightMap(
    "hf",
    torch_rules(
        tables={
            "word_embeddings": "embeddings.word_embeddings.weight",
            "position_embeddings": "embeddings.position_embeddings.weight",
            "token_type_embeddings": "embeddings.token_type_embeddings.weight",
        },
        dense=named(
            "encoder.albert_layer_groups.{i}.albert_layers.0.",
            {
                "attention/query": "attention.query",
                "attention/key": "attention.key",
                "attention/value": "attention.value",
                "attention/output_projection": "attention.dense",
                "intermediate": "ffn",
                "output_projection": "ffn_output",
            },
            {
                "embeddings/projection": "encoder.embedding_hidden_mapping_in",
                "pooler": "pooler",
            },
        ),
        norms=named(
            "encoder.albert_layer_groups.{i}.albert_layers.0.",
            {"attention_norm": "attention.LayerNorm", "output_norm": "full_layer_layer_norm"},
            {"embeddings/norm": "embeddings.LayerNorm"},
        ),
    ),
    ignore={
        r"(albert\.)?embeddings\.(position_ids|token_type_ids)": "a buffer, not a weight",
        r"(predictions|sop_classifier)\..*": "a pre-training head",
        r"(classifier|qa_outputs)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "albert."),
)

# The two kinds of layers in a block are numbered from 1 because the groups share their scopes.
GOOGLE = WeightMap(
    "google",
    tuple(
        encoder_rules(
            tables={
                "word_embeddings": "bert/embeddings/word_embeddings",
                "position_embeddings": "bert/embeddings/position_embeddings",
                "token_type_embeddings": "bert/embeddings/token_type_embeddings",
            },
            dense=named(
                "bert/encoder/transformer/group_{i}/inner_group_0/",
                {
                    "attention/query": "attention_1/self/query",
                    "attention/key": "attention_1/self/key",
                    "attention/value": "attention_1/self/value",
                    "attention/output_projection": "attention_1/output/dense",
                    "intermediate": "ffn_1/intermediate/dense",
                    "output_projection": "ffn_1/intermediate/output/dense",
                },
                {
                    "embeddings/projection": "bert/encoder/embedding_hidden_mapping_in",
                    "pooler": "bert/pooler/dense",
                },
            ),
            norms=named(
                "bert/encoder/transformer/group_{i}/inner_group_0/",
                {"attention_norm": "LayerNorm", "output_norm": "LayerNorm_1"},
                {"embeddings/norm": "bert/embeddings/LayerNorm"},
            ),
        )
    ),
    ignore={
        r".*/(adam|lamb)_[mv](_\d+)?": "an optimizer slot",
        r"global_step|(good_steps|loss_scale)": "the state of a training run",
        r"cls/.*": "a pre-training or question-answering head",
        r"output_(weights|bias)|(start|end)_logits/.*|answer_class/.*": (
            "a task head of a fine-tuned model"
        ),
    },
    container="tf-bundle",
    file_name="model.ckpt-best",
)

WEIGHT_MAPS = (HF, GOOGLE)

MASKED_LM_MAPS = (
    WeightMap(
        "hf",
        (
            *torch_rules(
                {"word_embeddings": "predictions.decoder.weight"},
                {"dense": "predictions.dense"},
                {"norm": "predictions.LayerNorm"},
            ),
            Rule("bias", "predictions.bias"),
            Rule("bias", "predictions.decoder.bias"),
        ),
    ),
    MASKED_LM_GOOGLE,
)
