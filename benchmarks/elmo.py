"""ELMo at its original size: 32 sentences of 20 words, words a second.

Sentences are pieces of docstrings of this machine's Python, so that words repeat as they do in
texts. All programs get the same character ids and random weights, and end with the average of the
three layers. The plain PyTorch program is written as AllenNLP's: the character convolutions read
every word of the batch, and each direction of each layer is a loop over words with both products
of the LSTM in it. A second one has the input's product outside of the loop. Clipping rules out
`torch.nn.LSTM`.

    pip install -e ".[bench]"
    python -m benchmarks.elmo
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result
from benchmarks.texts import docstrings

FILTERS = [(1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)]
SIZES = {
    "original": {"units": 4096, "projection_size": 512, "filters": FILTERS},
    "tiny": {"units": 16, "projection_size": 8, "filters": FILTERS[:3]},
}
CLIP = 3.0
PLAIN = "PyTorch, plain"
TOLERANCES = {"float32": 1e-4, "mixed_bfloat16": 0.1}
Run = Callable[[], np.ndarray]


class Task:
    """The weights in bilm's file, and one batch of character ids."""

    def __init__(self, folder: Path, size: str, batch: int, words: int) -> None:
        import keras

        from keras_pretrained.layers import ElmoEmbedding

        keras.utils.set_random_seed(1)
        self.architecture = SIZES[size]
        self.folder = folder / "elmo"
        made = ElmoEmbedding(architecture=self.architecture)
        made.save_weights_as(self.folder, dialect="bilm")
        text = " ".join(docstrings(batch * words)).split()[: batch * words]
        rows = [text[start : start + words] for start in range(0, batch * words, words)]
        self.ids = made.tokenizer(rows, is_split=True)["character_ids"]
        self.words = sorted({word for row in rows for word in row})


def ours(task: Task, policy: str, xla: bool, cached: bool) -> Run:
    import tensorflow as tf

    from keras_pretrained.layers import ElmoEmbedding

    layer = ElmoEmbedding(task.folder, dtype=policy)
    if cached:
        layer.cache_vocabulary(task.words)
    function = tf.function(lambda ids: tf.cast(layer(ids), tf.float32), jit_compile=xla)
    ids = tf.constant(task.ids)
    return lambda: function(ids).numpy()


def plain_torch(task: Task, hoisted: bool) -> Run:
    import torch

    from keras_pretrained import open_checkpoint

    stored = {
        name: torch.from_numpy(np.array(array.read()))
        for name, array in open_checkpoint(task.folder).items()
    }
    network = _Torch(stored, len(task.architecture["filters"]), hoisted)
    ids = torch.from_numpy(task.ids).long()

    def run() -> np.ndarray:
        with torch.inference_mode():
            return network(ids).numpy()

    return run


class _Torch:
    """bilm's network in PyTorch, by its formulas."""

    def __init__(self, stored: Mapping[str, Any], convolutions: int, hoisted: bool) -> None:
        import torch

        self.torch, self.hoisted = torch, hoisted
        table = stored["char_embed"]
        self.table = torch.cat([torch.zeros_like(table[:1]), table])
        self.kernels = [
            (stored[f"CNN/W_cnn_{i}"][0].permute(2, 1, 0).contiguous(), stored[f"CNN/b_cnn_{i}"])
            for i in range(convolutions)
        ]
        self.linear = {
            name: stored[name].T.contiguous() for name in stored if name.startswith("CNN_")
        }
        self.lstms = [[self._lstm(stored, side, layer) for layer in (0, 1)] for side in (0, 1)]

    def _lstm(self, stored: Mapping[str, Any], side: int, layer: int) -> tuple[Any, ...]:
        name = f"RNN_{side}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
        both, projection = stored[f"{name}W_0"], stored[f"{name}W_P_0"]
        inner, outer = both.chunk(2)
        return inner.T.contiguous(), outer.T.contiguous(), stored[f"{name}B"], projection.T

    def __call__(self, ids: Any) -> Any:
        torch = self.torch
        marks = torch.full((2, ids.shape[2]), 261)
        marks[:, :3] = torch.tensor([[259, 257, 260], [259, 258, 260]])
        ends = marks[:, None].expand(2, len(ids), -1)
        sentence = torch.cat([ends[0][:, None], ids, ends[1][:, None]], dim=1)
        words = self._words(sentence.reshape(-1, ids.shape[2])).reshape(*sentence.shape[:2], -1)
        sides = [self._side(words.flip(1) if side else words, side) for side in (0, 1)]
        sides[1] = [each.flip(1) for each in sides[1]]
        layers = [torch.cat(both, dim=-1) for both in zip(*sides, strict=True)]
        return sum(layers)[:, 1:-1] / len(layers)

    def _words(self, ids: Any) -> Any:
        torch, functional = self.torch, self.torch.nn.functional
        characters = self.table[ids].transpose(1, 2)
        found = [
            functional.conv1d(characters, kernel, bias).amax(-1) for kernel, bias in self.kernels
        ]
        x = torch.relu(torch.cat(found, dim=-1))
        for index in (0, 1):
            name, linear = f"CNN_high_{index}/", self.linear
            gate = torch.sigmoid(
                functional.linear(x, linear[f"{name}W_carry"], linear[f"{name}b_carry"])
            )
            new = torch.relu(
                functional.linear(x, linear[f"{name}W_transform"], linear[f"{name}b_transform"])
            )
            x = gate * new + (1 - gate) * x
        return functional.linear(x, self.linear["CNN_proj/W_proj"], self.linear["CNN_proj/b_proj"])

    def _side(self, words: Any, side: int) -> list[Any]:
        found = [words]
        for layer, lstm in enumerate(self.lstms[side]):
            outputs = self._run(lstm, found[-1])
            found.append(outputs + found[-1] if layer else outputs)
        return found

    def _run(self, lstm: tuple[Any, ...], sequence: Any) -> Any:
        torch, linear = self.torch, self.torch.nn.functional.linear
        inner, outer, bias, projection = lstm
        hidden = sequence.new_zeros(len(sequence), projection.shape[0])
        cell = sequence.new_zeros(len(sequence), projection.shape[1])
        ready = linear(sequence, inner, bias) if self.hoisted else None
        outputs = []
        for place in range(sequence.shape[1]):
            z = linear(sequence[:, place], inner, bias) if ready is None else ready[:, place]
            i, j, f, o = (z + linear(hidden, outer)).chunk(4, dim=-1)
            cell = torch.sigmoid(f + 1) * cell + torch.sigmoid(i) * torch.tanh(j)
            cell = cell.clamp(-CLIP, CLIP)
            hidden = linear(torch.sigmoid(o) * torch.tanh(cell), projection).clamp(-CLIP, CLIP)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1)


def contestants(task: Task) -> Iterator[Contestant]:
    for name, (policy, xla, cached) in {
        "keras_pretrained": ("float32", False, False),
        "keras_pretrained, words cached": ("float32", False, True),
        "keras_pretrained, XLA": ("float32", True, False),
        "keras_pretrained, bfloat16": ("mixed_bfloat16", False, False),
        "keras_pretrained, bfloat16, words cached": ("mixed_bfloat16", False, True),
    }.items():
        yield Contestant(name, ours(task, policy, xla, cached), TOLERANCES[policy])
    if common.installed("torch"):
        import torch

        torch.set_num_threads(common.cores())
        for name, hoisted in ((PLAIN, False), ("PyTorch, input products hoisted", True)):
            yield Contestant(name, plain_torch(task, hoisted), TOLERANCES["float32"])


def run(options: argparse.Namespace) -> list[Result]:
    size, batch, words = "original", options.batch_size, options.words
    if options.quick:
        size, batch, words, options.repeats = "tiny", 3, 4, 1
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), size, batch, words)
        results = common.measure(list(contestants(task)), options.repeats)
    common.compare(results, common.largest_difference)
    common.report(
        f"ELMo, {size} size, {batch}x{words} words, {len(task.words)} of them distinct, "
        f"{options.threads} threads, medians of {options.repeats} interleaved runs",
        ["program", "words/s", "ms", "from, to", "ratio to plain PyTorch", "difference"],
        [
            [
                result.name,
                f"{batch * words / result.median:.0f}",
                f"{result.median * 1e3:.0f}",
                common.spread(result, 1e3),
                common.ratio(results, result, PLAIN),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=9)
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--words", type=int, default=20, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
