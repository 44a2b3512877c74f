"""Golden data of filled gaps in texts, made by transformers' own pipeline.

Program: `transformers.pipeline("fill-mask")` in PyTorch, with the tokenizers that it finds, on the
networks of `bert_hf/erf`, `roberta/hf`, `distilbert/masked_lm`, `albert_hf/pretraining` and
`electra_hf/generator`.
Versions: Python 3.11, transformers 5.23.0, tokenizers 0.23.3, torch 2.13.0 (and, as found when it
ran, in `masked_lm/golden.json`).
Command, from the root of the repository, after the scripts that made the networks:

    python tests/goldens/make_masked_lm.py

`golden.json` holds for each network its texts, their token ids, and for each gap the five most
likely tokens with their probabilities.
"""

from __future__ import annotations

import json
from typing import Any

import tiny_bert
from transformers import (
    AddedToken,
    AlbertForMaskedLM,
    AlbertTokenizer,
    BertForMaskedLM,
    BertTokenizer,
    DistilBertForMaskedLM,
    ElectraForMaskedLM,
    RobertaForMaskedLM,
    RobertaTokenizer,
    pipeline,
)

FOLDER = tiny_bert.HERE / "masked_lm"
# Gaps at either end, beside signs, in a row, and inside of words.
TEXTS = ["a {0} b.", "{0} the end", "so{0}", "an {0} in {0}.", "a{0}{0} b", "{0}", "an {0}ing"]
# As in the published tokenizer.json of roberta-base, and in fairseq's `fill_mask`: the mask takes
# the space before it.
ROBERTA_MASK = AddedToken("<mask>", lstrip=True, special=True)
NETWORKS: dict[str, tuple[Any, Any]] = {
    "bert_hf/erf": (BertForMaskedLM, BertTokenizer),
    "roberta/hf": (RobertaForMaskedLM, RobertaTokenizer),
    "distilbert/masked_lm": (DistilBertForMaskedLM, BertTokenizer),
    "albert_hf/pretraining": (AlbertForMaskedLM, AlbertTokenizer),
    "electra_hf/generator": (ElectraForMaskedLM, BertTokenizer),
}


def filled(name: str, model_class: Any, tokenizer_class: Any) -> dict[str, Any]:
    source = str(tiny_bert.HERE / name)
    is_roberta = tokenizer_class is RobertaTokenizer
    options = {"mask_token": ROBERTA_MASK} if is_roberta else {}
    tokenizer = tokenizer_class.from_pretrained(source, **options)
    fill = pipeline("fill-mask", model=model_class.from_pretrained(source), tokenizer=tokenizer)
    texts = [text.format(tokenizer.mask_token) for text in TEXTS]
    if tokenizer_class is AlbertTokenizer:
        # transformers puts a space between the last gap and "ing".
        texts.pop()
    gaps = []
    for text in texts:
        made = fill(text, top_k=5)
        # One gap comes without a list of its own.
        made = [made] if isinstance(made[0], dict) else made
        gaps.append([[[each["token"], each["score"]] for each in gap] for gap in made])
    return {"texts": texts, "token_ids": tokenizer(texts)["input_ids"], "gaps": gaps}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    made = {name: filled(name, *classes) for name, classes in NETWORKS.items()}
    tiny_bert.write_note(
        FOLDER,
        "transformers.pipeline('fill-mask'), PyTorch",
        ["transformers", "tokenizers", "torch"],
    )
    path = FOLDER / "golden.json"
    note = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**note, "networks": made}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
