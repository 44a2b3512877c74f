"""The names of DistilBERT's variables, which only Hugging Face published."""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_rules import named, torch_rules
from keras_pretrained.weights import Rule, WeightMap

HF = WeightMap(
    "hf",
    torch_rules(
        tables={
            "word_embeddings": "embeddings.word_embeddings.weight",
            "position_embeddings": "embeddings.position_embeddings.weight",
        },
        dense=named(
            "transformer.layer.{i}.",
            {
                "attention/query": "attention.q_lin",
                "attention/key": "attention.k_lin",
                "attention/value": "attention.v_lin",
                "attention/output_projection": "attention.out_lin",
                "intermediate": "ffn.lin1",
                "output_projection": "ffn.lin2",
            },
            {},
        ),
        norms=named(
            "transformer.layer.{i}.",
            {"attention_norm": "sa_layer_norm", "output_norm": "output_layer_norm"},
            {"embeddings/norm": "embeddings.LayerNorm"},
        ),
    ),
    ignore={
        r"(distilbert\.)?embeddings\.position_ids": "a buffer, not a weight",
        r"vocab_(transform|layer_norm|projector)\..*": "a pre-training head",
        r"(pre_classifier|classifier|qa_outputs)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "distilbert."),
)

WEIGHT_MAPS = (HF,)

MASKED_LM_MAPS = (
    WeightMap(
        "hf",
        (
            *torch_rules(
                {"word_embeddings": "vocab_projector.weight"},
                {"dense": "vocab_transform"},
                {"norm": "vocab_layer_norm"},
            ),
            Rule("bias", "vocab_projector.bias"),
        ),
    ),
)
