"""The names of ELECTRA's variables in every dialect that it was published in.

Google's checkpoints hold two networks, discriminator and generator, which share the embeddings.
The discriminator is what is fine-tuned; the generator has to be asked for.
"""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_rules import (
    encoder_rules,
    google_rules,
    hf_rules,
    torch_rules,
)
from keras_pretrained.weights import Rule, WeightMap

HF = WeightMap(
    "hf",
    (
        *hf_rules(),
        *torch_rules({}, {"embeddings/projection": "embeddings_project"}, {}),
    ),
    ignore={
        r"(electra\.)?embeddings\.(position_ids|token_type_ids)": "a buffer, not a weight",
        r"(discriminator_predictions|generator_predictions|generator_lm_head)\..*": (
            "a pre-training head"
        ),
        r"(classifier|qa_outputs|sequence_summary)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "electra."),
)

_IGNORE = {
    r".*/adam_[mv]": "an optimizer slot",
    r"global_step": "the state of a training run",
    r"(discriminator|generator)_predictions/.*": "a pre-training head",
    r"task_specific/.*": "a task head of a fine-tuned model",
}

GOOGLE = WeightMap(
    "google",
    google_rules("electra/", {"embeddings/projection": "electra/embeddings_project"}),
    ignore={**_IGNORE, r"generator/.*": "the generator; dialect='google-generator' reads it"},
    container="tf-bundle",
    file_name="model.ckpt",
)

GENERATOR = WeightMap(
    "google-generator",
    google_rules(
        "generator/",
        {"embeddings/projection": "generator/embeddings_project"},
        embeddings="electra/",
    ),
    ignore={**_IGNORE, r"electra/(encoder|embeddings_project)/.*": "the discriminator"},
    container="tf-bundle",
    file_name="model.ckpt",
    by_name_only=True,
)

WEIGHT_MAPS = (HF, GOOGLE, GENERATOR)

# The generator is the masked language model; the discriminator of the same file has no such head.
MASKED_LM_MAPS = (
    WeightMap(
        "hf",
        (
            *torch_rules(
                {"word_embeddings": "generator_lm_head.weight"},
                {"dense": "generator_predictions.dense"},
                {"norm": "generator_predictions.LayerNorm"},
            ),
            Rule("bias", "generator_lm_head.bias"),
        ),
    ),
    WeightMap(
        "google-generator",
        (
            *encoder_rules(
                {},
                {"dense": "generator_predictions/dense"},
                {"norm": "generator_predictions/LayerNorm"},
            ),
            Rule("bias", "generator_predictions/output_bias"),
        ),
    ),
)
