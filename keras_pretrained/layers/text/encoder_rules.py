"""Rules for the names of BERT-like encoders: tables, dense layers and normalisations.

The blocks of all such encoders have the same variables; a dialect is how it spells their names.
"""

from __future__ import annotations

from collections.abc import Iterator

from keras_pretrained.weights import Rule
from keras_pretrained.weights.transforms import IDENTITY, TRANSPOSE, Transform

Names = dict[str, str]
Changes = tuple[Transform, Transform]
"""How the kernels and the biases of dense layers are stored."""

SAME: Changes = (IDENTITY, IDENTITY)
TORCH: Changes = (TRANSPOSE, IDENTITY)


def encoder_rules(
    tables: Names,
    dense: Names,
    norms: Names,
    dense_spelling: str = "/kernel /bias",
    norm_spellings: tuple[str, ...] = ("/gamma /beta",),
    to_heads: Changes = SAME,
    from_heads: Changes = SAME,
    other: Changes = SAME,
) -> Iterator[Rule]:
    """The rules of a dialect from its names of tables, dense layers and normalisations.

    Args:
        tables: table of the embeddings -> its name.
        dense: path of a dense layer -> its name without the spelling of kernel and bias.
        norms: path of a normalisation -> its name without the spelling of its two vectors.
        dense_spelling: what follows the names of dense layers, kernel first.
        norm_spellings: what follows those of normalisations, gamma first; any one may be used.
        to_heads, from_heads, other: the layout of the projections to query, key and value, of the
            projection behind the attention, and of all other dense layers.
    """
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


def torch_rules(
    tables: Names,
    dense: Names,
    norms: Names,
    norm_spellings: tuple[str, ...] = (".weight .bias",),
) -> tuple[Rule, ...]:
    """The rules of a dialect that PyTorch wrote: `.weight` and `.bias`, kernels transposed."""
    return tuple(
        encoder_rules(tables, dense, norms, ".weight .bias", norm_spellings, TORCH, TORCH, TORCH)
    )


def named(block: str, inside: Names, outside: Names) -> Names:
    """Names inside the repeated block, and names outside of it."""
    names = {f"layer_{{i}}/{ours}": f"{block}{theirs}" for ours, theirs in inside.items()}
    return {**outside, **names}


def hf_rules(norm_spellings: tuple[str, ...] = (".weight .bias",)) -> tuple[Rule, ...]:
    """The rules of Hugging Face's `BertModel` and of those that were copied from it."""
    return torch_rules(
        tables={
            "word_embeddings": "embeddings.word_embeddings.weight",
            "position_embeddings": "embeddings.position_embeddings.weight",
            "token_type_embeddings": "embeddings.token_type_embeddings.weight",
        },
        dense=named(
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
        norms=named(
            "encoder.layer.{i}.",
            {
                "attention_norm": "attention.output.LayerNorm",
                "output_norm": "output.LayerNorm",
            },
            {"embeddings/norm": "embeddings.LayerNorm"},
        ),
        norm_spellings=norm_spellings,
    )


def google_rules(scope: str, outside: Names, embeddings: str | None = None) -> tuple[Rule, ...]:
    """The rules of google-research/bert and of those that were copied from it.

    Args:
        scope: what the names of the network begin with, e.g. `"bert/"`.
        outside: path of a dense layer outside of the blocks -> its name.
        embeddings: what the names of the embeddings begin with, if that is another scope.
    """
    stem = f"{scope if embeddings is None else embeddings}embeddings"
    block = f"{scope}encoder/layer_{{i}}/"
    return tuple(
        encoder_rules(
            tables={
                table: f"{stem}/{table}"
                for table in ("word_embeddings", "position_embeddings", "token_type_embeddings")
            },
            dense=named(
                block,
                {
                    "attention/query": "attention/self/query",
                    "attention/key": "attention/self/key",
                    "attention/value": "attention/self/value",
                    "attention/output_projection": "attention/output/dense",
                    "intermediate": "intermediate/dense",
                    "output_projection": "output/dense",
                },
                outside,
            ),
            norms=named(
                block,
                {
                    "attention_norm": "attention/output/LayerNorm",
                    "output_norm": "output/LayerNorm",
                },
                {"embeddings/norm": f"{stem}/LayerNorm"},
            ),
        )
    )
