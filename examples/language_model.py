"""Pretrains a small GPT-2 on English, fine-tunes it on Python, and lets it write.

Both are texts of this machine's own standard library: docstrings first, then the functions of other
modules, and functions of still other modules to test on. The pretrained weights are written as
OpenAI published GPT-2's, and read as its users read those: the path from a folder to a fine-tuned
network is the same for `--source FOLDER` with the real one.

The table has the perplexity on held-out Python: of the frequencies of tokens, of the network before
and after fine-tuning, with all of it and with its last blocks only, and of the same network from
random weights. The last blocks alone do badly here, because the frozen stem holds the tied table of
tokens, which has hardly seen Python. At the end the network is exported, and a fresh process that
does not import this library continues a text with the file.

    pip install -e .
    python examples/language_model.py
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tokenizers
from modules import Modules, read_modules

from keras_pretrained import export
from keras_pretrained.layers import GPT2Decoder
from keras_pretrained.tokenizers import ByteLevelBPETokenizer

BATCH_SIZE = 32
SEED = 1
# OpenAI's vocabulary has 50,257 tokens, its smallest network 12 blocks of width 768.
VOCABULARY = 2048
SIZES = {"num_heads": 4, "hidden_size": 128, "intermediate_size": 512}
# So few steps do not learn anything by heart.
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}
LONGEST = 100_000
END = "<|endoftext|>"
PROMPT = "def read(self"
NEW_TOKENS = 48
TOLERANCE = 1e-4

Rows = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]

SERVE = """
import numpy, tensorflow
served = tensorflow.saved_model.load("saved_model")
numpy.save("logits.npy", served.serve_ids(dict(numpy.load("inputs.npz")))["decoder"])
ids = numpy.load("prompt.npy")
for _ in range(int(numpy.load("count.npy"))):
    logits = served.serve_ids({"token_ids": ids, "padding_mask": numpy.ones_like(ids)})["decoder"]
    ids = numpy.append(ids, numpy.argmax(logits[:, -1:], axis=-1).astype("int32"), axis=1)
numpy.save("continued.npy", ids)
"""


def main() -> None:
    arguments = parse_arguments()
    if arguments.output is None:
        with tempfile.TemporaryDirectory() as folder:
            run(arguments, Path(folder))
    else:
        arguments.output.mkdir(parents=True, exist_ok=True)
        run(arguments, arguments.output)


def run(arguments: argparse.Namespace, folder: Path) -> None:
    started = time.perf_counter()
    keras.utils.set_random_seed(SEED)
    data = read_modules(arguments.docstrings, arguments.functions, arguments.held_out, SEED)
    print(f"{len(data.docstrings)} docstrings, {len(data.functions)} functions of other modules,")
    print(f"and {len(data.held_out)} of still other modules to test on", flush=True)
    source = arguments.source or pretrain(data, folder / "pretrained", arguments)
    load = partial(
        GPT2Decoder,
        source,
        max_length=arguments.length,
        language_model_logits=True,
        architecture=NO_DROPOUT,
        name="decoder",
    )
    decoder = load(trainable_from=arguments.trainable_from)
    print(f"\n{decoder.load_report}")
    train, test = (rows(decoder.tokenizer, texts) for texts in (data.functions, data.held_out))
    table = [
        ("frequencies of tokens", frequencies(train, test, decoder.architecture.vocabulary_size)),
        ("pretrained, not fine-tuned", perplexity(as_model(decoder), test)),
    ]
    before = write(decoder)
    models = {
        f"fine-tuned from {arguments.trainable_from} on": as_model(decoder),
        "random weights, all trained": as_model(load(weights=None)),
        "fine-tuned, all": as_model(load()),
    }
    for name, model in models.items():
        print(f"\n{name}", flush=True)
        fit(model, train, arguments.epochs, arguments.learning_rate)
        table.append((name, perplexity(model, test)))
    print("\nexporting", flush=True)
    difference = check_saved_model(model, test[0], folder)
    print(f"\n{'':<30}{'perplexity on held-out Python':>30}")
    for name, value in table:
        print(f"{name:<30}{value:>30.1f}")
    print(f"\n--- before fine-tuning\n{before}")
    print(f"\n--- after\n{write(model.get_layer('decoder'))}")
    print("\nSavedModel in a fresh process: continues with the same tokens;")
    print(f"largest difference of its logits {difference:.1e}")
    print(f"\n{time.perf_counter() - started:.0f} seconds in all")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--source", help="folder of OpenAI's or Hugging Face's, or preset name, of a GPT-2")
    add(
        "--trainable-from",
        type=lambda text: int(text) if text.lstrip("-").isdecimal() else text,
        default=2,
        metavar="DEPTH",
        help="number of frozen blocks, minus the number of trainable ones, or the name of the "
        "first trainable stage (default: %(default)s)",
    )
    add("--docstrings", type=int, default=4608, help="to pretrain on (default: %(default)s)")
    add("--functions", type=int, default=768, help="to fine-tune on (default: %(default)s)")
    add("--held-out", type=int, default=256, help="to test on (default: %(default)s)")
    add("--epochs", type=int, default=3, help="of each training (default: %(default)s)")
    add("--length", type=int, default=128, help="tokens of a text (default: %(default)s)")
    add(
        "--learning-rate",
        type=float,
        default=2e-3,
        help="at its highest (default: %(default)s; for a GPT-2 of OpenAI's rather 5e-5)",
    )
    add("--layers", type=int, default=4, help="blocks without --source (default: %(default)s)")
    add("--output", type=Path, help="folder for the files (default: a temporary one)")
    return parser.parse_args()


# --- pretraining ------------------------------------------------------------------------------


def pretrain(data: Modules, folder: Path, arguments: argparse.Namespace) -> Path:
    """Trains vocabulary and network on the docstrings; the folder, as OpenAI's."""
    tokenizer = train_tokenizer(data.docstrings, arguments.length)
    sizes = {
        **SIZES,
        **NO_DROPOUT,
        "vocabulary_size": tokenizer.vocabulary_size,
        "max_positions": arguments.length,
        "num_layers": arguments.layers,
    }
    decoder = GPT2Decoder(architecture=sizes, tokenizer=tokenizer, language_model_logits=True)
    print(f"\npretraining {decoder.count_params():,} weights on the docstrings", flush=True)
    given = stream(tokenizer, data.docstrings)
    fit(as_model(decoder), given, arguments.epochs, arguments.learning_rate)
    return decoder.save_weights_as(folder, dialect="openai")


def train_tokenizer(texts: Sequence[str], length: int) -> ByteLevelBPETokenizer:
    trainer = tokenizers.ByteLevelBPETokenizer()
    trainer.train_from_iterator(
        texts, VOCABULARY, min_frequency=2, show_progress=False, special_tokens=[END]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_model(folder)
        return ByteLevelBPETokenizer.from_folder(folder, special="gpt2", max_length=length)


# --- training and testing ---------------------------------------------------------------------


def stream(tokenizer: ByteLevelBPETokenizer, texts: Sequence[str]) -> Rows:
    """All texts one behind the other, cut into rows: no padding, as the original was trained."""
    whole = (tokenizer(text, max_length=LONGEST)["token_ids"] for text in texts)
    ids = np.concatenate([part for ids in whole for part in (ids, [tokenizer.end_id])])
    ids = ids[: len(ids) // tokenizer.max_length * tokenizer.max_length]
    ids = ids.reshape(-1, tokenizer.max_length).astype("int32")
    return next_tokens(ids, np.ones_like(ids))


def rows(tokenizer: ByteLevelBPETokenizer, texts: Sequence[str]) -> Rows:
    """A row for each text, with padding; one that is not cut ends with the end of texts."""
    given = tokenizer(list(texts), pad_to=tokenizer.max_length)
    ids, mask = given["token_ids"], given["padding_mask"]
    (whole,) = np.nonzero(mask[:, -1] == 0)
    ends = mask.sum(axis=1)[whole]
    ids[whole, ends] = tokenizer.end_id
    mask[whole, ends] = 1
    return next_tokens(ids, mask)


def next_tokens(ids: np.ndarray, mask: np.ndarray) -> Rows:
    """Inputs; for each token the next one; and 1 where that is a token, 0 where it is padding."""
    # Nothing is traced or compiled for a smaller batch at the end.
    count = len(ids) // BATCH_SIZE * BATCH_SIZE
    ids, mask = ids[:count], mask[:count]
    return {"token_ids": ids[:, :-1], "padding_mask": mask[:, :-1]}, ids[:, 1:], mask[:, 1:]


def as_model(decoder: GPT2Decoder) -> keras.Model:
    """On token ids; compiled to be tested."""
    inputs = decoder.symbolic_inputs()
    model = keras.Model(inputs, decoder(inputs))
    compile_model(model, keras.optimizers.SGD())
    return model


def compile_model(model: keras.Model, optimizer: keras.Optimizer) -> None:
    """The loss is the mean over all tokens of a batch, the metric that over all of a data set."""
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        weighted_metrics=[keras.metrics.SparseCategoricalCrossentropy("nats", from_logits=True)],
    )


def fit(model: keras.Model, given: Rows, epochs: int, learning_rate: float) -> None:
    steps = epochs * -(-len(given[1]) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=learning_rate, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0)
    compile_model(model, optimizer)
    inputs, targets, weights = given
    model.fit(
        inputs, targets, sample_weight=weights, batch_size=BATCH_SIZE, epochs=epochs, verbose=2
    )


def perplexity(model: keras.Model, given: Rows) -> float:
    """The exponential of the mean surprise at a token that is not padding."""
    inputs, targets, weights = given
    found = model.evaluate(
        inputs,
        targets,
        sample_weight=weights,
        batch_size=BATCH_SIZE,
        verbose=0,
        return_dict=True,
    )
    return math.exp(found["nats"])


def frequencies(train: Rows, test: Rows, vocabulary_size: int) -> float:
    """The perplexity for one who knows only how frequent each token is."""
    counts = np.bincount(train[1][train[2] == 1], minlength=vocabulary_size) + 1
    return math.exp(-np.log(counts / counts.sum())[test[1][test[2] == 1]].mean())


def write(decoder: GPT2Decoder) -> str:
    text = decoder.generate(PROMPT, NEW_TOKENS, temperature=0.7, top_k=40, seed=SEED)
    return text.removesuffix(END)


# --- the trained model as files ---------------------------------------------------------------


def check_saved_model(model: keras.Model, inputs: dict[str, np.ndarray], folder: Path) -> float:
    """Exports; how far the logits of a fresh process lie from the model's own."""
    print(export.to_saved_model(model, folder / "saved_model", overwrite=True))
    decoder = model.get_layer("decoder")
    inputs = {name: values[:BATCH_SIZE] for name, values in inputs.items()}
    prompt = decoder.tokenizer([PROMPT])["token_ids"]
    np.savez(folder / "inputs.npz", **inputs)
    np.save(folder / "prompt.npy", prompt)
    np.save(folder / "count.npy", NEW_TOKENS)
    subprocess.run([sys.executable, "-c", SERVE], cwd=folder, check=True)
    continued = decoder.generate(prompt, NEW_TOKENS, temperature=0, stop=())
    if not np.array_equal(np.load(folder / "continued.npy"), continued):
        raise SystemExit("The SavedModel continues the prompt with other tokens.")
    expected = model.predict(inputs, batch_size=BATCH_SIZE, verbose=0)
    difference = float(np.abs(np.load(folder / "logits.npy") - expected).max())
    if not difference <= TOLERANCE:
        raise SystemExit(f"The SavedModel's logits differ by {difference}.")
    return difference


if __name__ == "__main__":
    main()
