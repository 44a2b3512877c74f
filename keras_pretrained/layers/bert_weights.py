"""The names of BERT's variables in every dialect that it was published in."""

from __future__ import annotations

from collections.abc import Iterator

from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import IDENTITY, TRANSPOSE, Reshape, Transform

Names = dict[str, str]

_SAME = (IDENTITY, IDENTITY)
_TORCH = (TRANSPOSE, IDENTITY)
# TensorFlow Model Garden keeps the heads as an axis of the attention kernels.
_TO_HEADS = (
    Reshape(("hidden_size", "num_heads", "head_size"), ("hidden_size", "hidden_size")),
    Reshape(("num_heads", "head_size"), ("hidden_size",)),
)
_FROM_HEADS = (
    Reshape(("num_heads", "head_size", "hidden_size"), ("hidden_size", "hidden_size")),
    IDENTITY,
)


def _rules(
    tables: Names,
    dense: Names,
    norms: Names,
    dense_spelling: str = "/kernel /bias",
    norm_spellings: tuple[str, ...] = ("/gamma /beta",),
    to_heads: tuple[Transform, Transform] = _SAME,
    from_heads: tuple[Transform, Transform] = _SAME,
    other: tuple[Transform, Transform] = _SAME,
) -> Iterator[Rule]:
    """The rules of a dialect from its names of tables, dense layers and normalisations."""
    for target, source in tables.items():
        yield Rule(f"embeddings/{target}", source)
    for target, source in dense.items():
        changes = other
        if target.endswith(("query", "key", "value")):
            changes = to_heads
        elif target.endswith("attention/output_projection"):
            changes = from_heads
        for ours, theirs, change in zip(
            ("kernel", "bias"), dense_spelling.split(), changes, strict=True
        ):
            yield Rule(f"{target}/{ours}", source + theirs, change)
    for target, source in norms.items():
        for spelling in norm_spellings:
            for ours, theirs in zip(("gamma", "beta"), spelling.split(), strict=True):
                yield Rule(f"{target}/{ours}", source + theirs)


def _named(block: str, inside: Names, outside: Names) -> Names:
    """Names inside the repeated block, and names outside of it."""
    names = {f"layer_{{i}}/{ours}": f"{block}{theirs}" for ours, theirs in inside.items()}
    return {**outside, **names}


HF = WeightMap(
    "hf",
    tuple(
        _rules(
            tables={
                "word_embeddings": "embeddings.word_embeddings.weight",
                "position_embeddings": "embeddings.position_embeddings.weight",
                "token_type_embeddings": "embeddings.token_type_embeddings.weight",
            },
            dense=_named(
                "encoder.layer.{i}.",
                {
                    "attention/query": "attention.self.query",
                    "attention/key": "attention.self.key",
                    "attention/value": "attention.self.value",
                    "attention/output_projection": "attention.output.dense",
                    "intermediate": "intermediate.dense",
                    "output_projection": "output.dense",
                },
                {"pooler": "pooler.dense"},
            ),
            norms=_named(
                "encoder.layer.{i}.",
                {
                    "attention_norm": "attention.output.LayerNorm",
                    "output_norm": "output.LayerNorm",
                },
                {"embeddings/norm": "embeddings.LayerNorm"},
            ),
            dense_spelling=".weight .bias",
            # Files converted before 2019 kept TensorFlow's names of the two vectors.
            norm_spellings=(".weight .bias", ".gamma .beta"),
            to_heads=_TORCH,
            from_heads=_TORCH,
            other=_TORCH,
        )
    ),
    ignore={
        r"(bert\.)?embeddings\.(position_ids|token_type_ids)": "a buffer, not a weight",
        r"cls\..*": "a pre-training head",
        r"(classifier|qa_outputs)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "bert."),
)

GOOGLE = WeightMap(
    "google",
    tuple(
        _rules(
            tables={
                "word_embeddings": "bert/embeddings/word_embeddings",
                "position_embeddings": "bert/embeddings/position_embeddings",
                "token_type_embeddings": "bert/embeddings/token_type_embeddings",
            },
            dense=_named(
                "bert/encoder/layer_{i}/",
                {
                    "attention/query": "attention/self/query",
                    "attention/key": "attention/self/key",
                    "attention/value": "attention/self/value",
                    "attention/output_projection": "attention/output/dense",
                    "intermediate": "intermediate/dense",
                    "output_projection": "output/dense",
                },
                {"pooler": "bert/pooler/dense"},
            ),
            norms=_named(
                "bert/encoder/layer_{i}/",
                {
                    "attention_norm": "attention/output/LayerNorm",
                    "output_norm": "output/LayerNorm",
                },
                {"embeddings/norm": "bert/embeddings/LayerNorm"},
            ),
        )
    ),
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
    rules = _rules(tables, dense, norms, to_heads=_TO_HEADS, from_heads=_FROM_HEADS)
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
    _named(
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
    _named(
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
    _named(
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
    _named(
        "layer_with_weights-{i+4}/",
        {"attention_norm": "_attention_layer_norm", "output_norm": "_output_layer_norm"},
        {"embeddings/norm": "layer_with_weights-3"},
    ),
    # A pre-training network keeps its tied table under the head alone.
    also=(Rule("embeddings/word_embeddings", "masked_lm/embedding_table"),),
)

WEIGHT_MAPS = (HF, GOOGLE, TF_MODELS, TF_MODELS_OBJECTS)
