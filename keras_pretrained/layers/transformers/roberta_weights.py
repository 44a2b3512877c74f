"""The names of RoBERTa's variables: Hugging Face's and fairseq's."""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_rules import hf_rules, named, torch_rules
from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import TRANSPOSE, Chain, FoldedRow, Split

HF = WeightMap(
    "hf",
    hf_rules(),
    ignore={
        r"(roberta\.)?embeddings\.(position_ids|token_type_ids)": "a buffer, not a weight",
        r"lm_head\..*": "a pre-training head",
        r"(classifier|qa_outputs)\..*": "a task head of a fine-tuned model",
    },
    prefixes=("", "roberta."),
)

_LAYER = "layers.{i}."
_SPLIT = torch_rules(
    tables={"word_embeddings": "embed_tokens.weight"},
    dense=named(
        _LAYER,
        {
            "attention/query": "self_attn.q_proj",
            "attention/key": "self_attn.k_proj",
            "attention/value": "self_attn.v_proj",
            "attention/output_projection": "self_attn.out_proj",
            "intermediate": "fc1",
            "output_projection": "fc2",
        },
        {},
    ),
    norms=named(
        _LAYER,
        {"attention_norm": "self_attn_layer_norm", "output_norm": "final_layer_norm"},
        {"embeddings/norm": "emb_layer_norm"},
    ),
)


def _projections(ours: str) -> tuple[str, ...]:
    return tuple(f"layer_{{i}}/attention/{name}/{ours}" for name in ("query", "key", "value"))


# First the names of the released files; fairseq of any later date renames them when it loads.
FAIRSEQ = WeightMap(
    "fairseq",
    (
        Rule(
            ("embeddings/position_embeddings", "embeddings/token_type_embeddings"),
            "embed_positions.weight",
            FoldedRow(),
        ),
        Rule(
            _projections("kernel"),
            f"{_LAYER}self_attn.in_proj_weight",
            Chain(Split(axis=0, parts=3), TRANSPOSE),
        ),
        Rule(_projections("bias"), f"{_LAYER}self_attn.in_proj_bias", Split(axis=0, parts=3)),
        *_SPLIT,
        Rule("embeddings/norm/gamma", "layernorm_embedding.weight"),
        Rule("embeddings/norm/beta", "layernorm_embedding.bias"),
    ),
    ignore={
        r"(model\.)?(decoder|encoder)\.lm_head\..*": "a pre-training head",
        r"(model\.)?classification_heads\..*": "a task head of a fine-tuned model",
        r"(model\.)?(decoder|encoder)\.sentence_encoder\.version": "a version number",
        r"(last_optimizer_state|extra_state|optimizer_history)\..*": "the state of a training run",
    },
    prefixes=tuple(
        f"{root}{side}.sentence_encoder."
        for root in ("model.", "")
        for side in ("decoder", "encoder")
    ),
    container="torch",
    file_name="model.pt",
)

WEIGHT_MAPS = (HF, FAIRSEQ)


def _masked_lm(dialect: str, table: str, prefixes: tuple[str, ...] = ("",)) -> WeightMap:
    """The head's map, which differs in the name of the copy of the token table."""
    rules = torch_rules(
        {"word_embeddings": f"lm_head.{table}"},
        {"dense": "lm_head.dense"},
        {"norm": "lm_head.layer_norm"},
    )
    biases = (Rule("bias", "lm_head.bias"), Rule("bias", "lm_head.decoder.bias"))
    return WeightMap(dialect, (*rules, *biases), prefixes=prefixes)


MASKED_LM_MAPS = (
    _masked_lm("hf", "decoder.weight"),
    _masked_lm("fairseq", "weight", ("model.decoder.", "model.encoder.", "decoder.", "encoder.")),
)
