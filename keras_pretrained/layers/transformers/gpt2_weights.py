"""The names of GPT-2's variables: OpenAI's and Hugging Face's."""

from __future__ import annotations

from collections.abc import Iterator

from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import IDENTITY, Chain, Split, Squeeze, Transform

_DENSE = {
    "attention/output_projection": "attn/c_proj",
    "intermediate": "mlp/c_fc",
    "output_projection": "mlp/c_proj",
}
_NORMS = {"layer_{i}/attention_norm": "h{i}/ln_1", "layer_{i}/output_norm": "h{i}/ln_2"}


def _rules(spelling: tuple[str, str], norm: tuple[str, str], kernel: Transform) -> Iterator[Rule]:
    """The rules in OpenAI's spelling; a kernel is (in, out) behind `kernel`."""
    queries = tuple(f"layer_{{i}}/attention/{name}" for name in ("query", "key", "value"))
    for ours, theirs, change in zip(("kernel", "bias"), spelling, (kernel, IDENTITY), strict=True):
        yield Rule(
            tuple(f"{target}/{ours}" for target in queries),
            f"h{{i}}/attn/c_attn/{theirs}",
            Chain(change, Split(axis=-1, parts=3)),
        )
        for target, source in _DENSE.items():
            yield Rule(f"layer_{{i}}/{target}/{ours}", f"h{{i}}/{source}/{theirs}", change)
    for target, source in {**_NORMS, "final_norm": "ln_f"}.items():
        for ours, theirs in zip(("gamma", "beta"), norm, strict=True):
            yield Rule(f"{target}/{ours}", f"{source}/{theirs}")


OPENAI = WeightMap(
    "openai",
    (
        Rule("embeddings/word_embeddings", "wte"),
        Rule("embeddings/position_embeddings", "wpe"),
        # The kernels are those of convolutions of width one.
        *_rules(("w", "b"), ("g", "b"), Squeeze((0,))),
    ),
    prefixes=("model/",),
    container="tf-bundle",
    file_name="model.ckpt",
)


def _hf(rule: Rule) -> Rule:
    """A rule in OpenAI's spelling in that of Hugging Face."""
    (source,) = rule.sources
    return Rule(rule.target, source.replace("h{i}/", "h.{i}.").replace("/", "."), rule.transform)


HF = WeightMap(
    "hf",
    (
        Rule("embeddings/word_embeddings", "wte.weight"),
        Rule("embeddings/position_embeddings", "wpe.weight"),
        *map(_hf, _rules(("weight", "bias"), ("weight", "bias"), IDENTITY)),
    ),
    ignore={
        r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)": "a buffer, not a weight",
        r"lm_head\.weight": "a copy of the token table",
        r"(score|multiple_choice_head)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "transformer."),
)

WEIGHT_MAPS = (OPENAI, HF)
