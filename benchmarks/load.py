"""Loading BERT-base from the files of every publisher: seconds and peak memory.

Each row is a fresh process that imports its program and waits; then this one watches from
outside how the memory that it owns grows while it loads (RssAnon: mapped files do not count).
The files are in the page cache, so the time is work, not disk. "First output" adds a forward
pass of 2x16 tokens, because a program may map the file and read the weights when they are used.
Linux only.

    pip install -e ".[bench]"
    python -m benchmarks.load
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bert_files, common, fresh_process
from benchmarks.common import Result

OURS, HUB, TORCH = "keras_pretrained", "KerasHub", "transformers"
# Program and kind of checkpoint. The peers read no others: KerasHub wants safetensors, and
# transformers 5 no longer reads TensorFlow's files.
ROWS = [
    *((OURS, kind) for kind in bert_files.KINDS),
    (HUB, "safetensors"),
    (TORCH, "safetensors"),
    (TORCH, "bin"),
]
NEEDED = {HUB: ("keras_hub", "safetensors"), TORCH: ("transformers", "torch")}
TOKEN_IDS = np.arange(1, 33, dtype="int32").reshape(2, 16)
# The pooler's tanh after 12 blocks, computed by different programs in float32.
TOLERANCE = 1e-4


def loader(program: str) -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    """Imports a program; how it loads a folder, and how what it loaded runs."""
    if program == TORCH:
        import torch
        from transformers import BertModel

        ids = torch.from_numpy(TOKEN_IDS).long()
        return BertModel.from_pretrained, lambda model: model.eval()(ids).pooler_output.detach()
    import keras

    keras.ops.zeros(1)  # The backend starts on its first use, not when it is imported.
    if program == HUB:
        import keras_hub

        inputs = {"token_ids": TOKEN_IDS, "segment_ids": TOKEN_IDS * 0}
        inputs["padding_mask"] = inputs["segment_ids"] + 1
        load = keras_hub.models.BertBackbone.from_preset
        return load, lambda model: model(inputs, training=False)["pooled_output"]
    from keras_pretrained.layers import BertEncoder

    return lambda folder: BertEncoder(folder, pooling="pooler"), lambda layer: layer(TOKEN_IDS)


def run(options: argparse.Namespace) -> list[Result]:
    size = "bert-base"
    if options.quick:
        size, options.repeats = "tiny", 1
    rows = [row for row in ROWS if common.installed(*NEEDED.get(row[0], ()))]
    kinds = [kind for kind in bert_files.KINDS if kind != "bin" or common.installed("torch")]
    rows = [(program, kind) for program, kind in rows if kind in kinds]
    with tempfile.TemporaryDirectory() as folder:
        common.progress(f"writing {size} as {', '.join(kinds)}")
        weights = bert_files.write(Path(folder), size, *kinds)
        places = {f"{program}, {kind}": (program, Path(folder) / kind) for program, kind in rows}
        return fresh_process.measure("benchmarks.load", size, places, weights, TOLERANCE, options)


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=5)
    parser.add_argument("--child", nargs=2, metavar=("PROGRAM", "FOLDER"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    if chosen.child:
        name, place = chosen.child
        fresh_process.child(*loader(name), place)
    else:
        common.prepare_environment(chosen.threads)
        common.require_agreement(run(chosen))
