"""GPT-2 124M with random weights: loading OpenAI's files, logits, and greedy continuations.

transformers reads the same numbers from safetensors, since its version 5 reads no files of
TensorFlow's, and continues with its own cache. The logits must agree, and every token.

    pip install -e ".[bench]"
    python -m benchmarks.generation                        # and with KERAS_BACKEND=jax
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common, fresh_process, gpt2_files
from benchmarks.common import Contestant, Result

OURS, TORCH = "keras_pretrained", "transformers"
# Logits of random weights lie between about -5 and 5.
TOLERANCE = 1e-3
Runs = dict[str, Callable[[np.ndarray], np.ndarray]]


class Model:
    """One program's network on one folder, as its users call it.

    Attributes:
        logits: variants of `ids (batch, length) -> logits (batch, length, vocabulary)`, by name.
        generate: `(ids, count) -> ids (batch, length + count)`, greedy.
    """

    logits: Runs

    def generate(self, ids: np.ndarray, count: int) -> np.ndarray:
        raise NotImplementedError


class Ours(Model):
    def __init__(self, folder: Path) -> None:
        import keras

        from keras_pretrained.layers import GPT2Decoder

        self.decoder = GPT2Decoder(folder, language_model_logits=True)
        # On JAX a prediction is always compiled.
        on_tensorflow = keras.backend.backend() == "tensorflow"
        variants = {"": False, ", XLA": True} if on_tensorflow else {", XLA": True}
        self.logits = {name: self._predict(jit) for name, jit in variants.items()}

    def _predict(self, jit: bool) -> Callable[[np.ndarray], np.ndarray]:
        import keras

        ids = keras.Input((None,), dtype="int32")
        model = keras.Model(ids, self.decoder(ids))
        model.compile(jit_compile=jit)
        return model.predict_on_batch

    def generate(self, ids: np.ndarray, count: int) -> np.ndarray:
        return self.decoder.generate(ids, count, temperature=0, stop=())


class Transformers(Model):
    def __init__(self, folder: Path, threads: int) -> None:
        import torch
        from transformers import GPT2LMHeadModel, logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self.network = GPT2LMHeadModel.from_pretrained(folder).eval()
        self.logits = {"": self._logits}

    def _logits(self, ids: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.network(torch.from_numpy(ids).long()).logits.numpy()

    def generate(self, ids: np.ndarray, count: int) -> np.ndarray:
        import torch

        given = torch.from_numpy(ids).long()
        found = self.network.generate(
            given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=count,
            do_sample=False,
            use_cache=True,
            eos_token_id=None,
            pad_token_id=0,
        )
        return found.numpy()


def models(folder: Path, threads: int) -> Iterator[tuple[str, Model]]:
    """The reference first, where it is installed."""
    if common.installed("torch", "transformers"):
        yield TORCH, Transformers(folder / "hf", threads)
    yield OURS, Ours(folder / "openai")


# --- loading ----------------------------------------------------------------------------------


def loader(program: str) -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    """Imports a program; how it loads a folder, and the logits that follow two short texts."""
    ids = np.arange(1, 33, dtype="int32").reshape(2, 16)
    if program == TORCH:
        import torch
        from transformers import GPT2LMHeadModel

        given = torch.from_numpy(ids).long()
        load = GPT2LMHeadModel.from_pretrained
        return load, lambda network: network.eval()(given).logits.detach()[:, -1]
    import keras

    from keras_pretrained.layers import GPT2Decoder

    keras.ops.zeros(1)  # The backend starts on its first use, not when it is imported.
    load = partial(GPT2Decoder, language_model_logits=True)
    return load, lambda decoder: decoder(ids)[:, -1]


# --- the three tables -------------------------------------------------------------------------


def load(folder: Path, size: str, weights: int, options: argparse.Namespace) -> list[Result]:
    rows = {}
    if common.installed("torch", "transformers"):
        rows[f"{TORCH}, safetensors"] = (TORCH, folder / "hf")
    rows[f"{OURS}, OpenAI's files"] = (OURS, folder / "openai")
    rows[f"{OURS}, safetensors"] = (OURS, folder / "hf")
    what = f"GPT-2 {size}"
    return fresh_process.measure("benchmarks.generation", what, rows, weights, TOLERANCE, options)


def forward(found: dict[str, Model], size: str, options: argparse.Namespace) -> list[Result]:
    ids = random_ids(size, options.batch_size, options.length)
    contestants = [
        Contestant(f"{name}, logits{variant}", partial(run, ids), TOLERANCE)
        for name, model in found.items()
        for variant, run in model.logits.items()
    ]
    results = common.measure(contestants, options.repeats)
    common.compare(results, common.largest_difference)
    show(
        f"GPT-2 {size}, logits of {options.batch_size}x{options.length} tokens",
        "tokens/s",
        {result.name: options.batch_size * options.length for result in results},
        results,
        [f"{TORCH}, logits"],
        options,
    )
    return results


def continuations(found: dict[str, Model], size: str, options: argparse.Namespace) -> list[Result]:
    names = {1: "1 text", options.batch_size: f"{options.batch_size} texts"}
    results = []
    for rows in names:
        ids = random_ids(size, rows, options.prompt)
        contestants = [
            Contestant(f"{name}, {names[rows]}", partial(model.generate, ids, options.new), 0)
            for name, model in found.items()
        ]
        measured = common.measure(contestants, options.repeats)
        # Ids: any other token is a difference of at least one.
        common.compare(measured, common.largest_difference)
        results += measured
    show(
        f"GPT-2 {size}, {options.new} greedy tokens behind {options.prompt}",
        "new tokens/s",
        {result.name: len(result.output) * options.new for result in results},
        results,
        [f"{TORCH}, {name}" for name in names.values()],
        options,
    )
    return results


def show(
    title: str,
    unit: str,
    tokens: dict[str, int],
    results: list[Result],
    baselines: list[str],
    options: argparse.Namespace,
) -> None:
    """The table; each row's ratio is to the baseline that does the same work."""
    import keras

    def baseline(result: Result) -> list[str]:
        if len(baselines) == 1:
            return baselines
        return [name for name in baselines if name.endswith(result.name.rpartition(", ")[2])]

    common.report(
        f"{title}, Keras on {keras.backend.backend()}, {options.threads} threads, medians of "
        f"{options.repeats} interleaved repeats",
        ["program", unit, "seconds", f"ratio to {TORCH}", "difference"],
        [
            [
                result.name,
                f"{tokens[result.name] / result.median:.0f}",
                common.spread(result),
                common.ratio(results, result, *baseline(result)),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )


def random_ids(size: str, *shape: int) -> np.ndarray:
    vocabulary = gpt2_files.SIZES[size]["n_vocab"]
    return np.random.default_rng(1).integers(0, vocabulary, shape, "int32")


def run(options: argparse.Namespace) -> list[Result]:
    size = "124M"
    if options.quick:
        size, options.repeats, options.batch_size = "tiny", 1, 2
        options.length, options.prompt, options.new = 16, 8, 12
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        common.progress(f"writing GPT-2 {size}")
        weights = gpt2_files.write(folder, size)
        results = load(folder, size, weights, options)
        print()
        found = dict(models(folder, options.threads))
        results += forward(found, size, options)
        print()
        return results + continuations(found, size, options)


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=5)
    add = partial(parser.add_argument, type=int)
    add("--batch-size", default=8, help="texts (default: %(default)s)")
    add("--length", default=128, help="tokens of a text for logits (default: %(default)s)")
    add("--prompt", default=32, help="tokens of a text to continue (default: %(default)s)")
    add("--new", default=64, help="tokens to add (default: %(default)s)")
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
