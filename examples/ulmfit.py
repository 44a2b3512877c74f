"""ULMFiT in three steps: from general texts over those of a task to a classifier of long texts.

1. A language model, an AWD-LSTM, learns from general texts: docstrings of the packages that are
   installed here. `--source` takes a published network in place of this step.
2. It learns on from the texts of the task without their labels, docstrings of Python's standard
   library, in a vocabulary of their own: each layer at a rate of its own.
3. It becomes a classifier: which package is a long text from? Layers open one after the other, and
   gradients go back through a text piece by piece.

The tables have the perplexities around each step, and the accuracy on texts of other modules: with
all three steps, without the second, without the first two, and of TF-IDF with logistic regression.

    pip install -e ".[example]"
    python examples/ulmfit.py
    python examples/ulmfit.py --source ulmfit-wt103 --epochs 4 15 20   # needs ".[spacy]", too
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from long_texts import LongTexts, read_general_texts, read_long_texts
from text_classification import fit_tfidf

from keras_pretrained import finetune
from keras_pretrained.layers import AWDLSTMEncoder, ULMFiTClassifier
from keras_pretrained.tokenizers import FastaiTokenizer

SEED = 1
# The published networks have embeddings of 400, 1,150 units and 3 layers.
SIZES = {"embedding_size": 128, "units": 256, "num_layers": 2}
LANGUAGE_MODEL_RATE, CLASSIFIER_RATE = 4e-3, 1e-2  # Both are the paper's.
LAYER_DECAY = 1 / 2.6
BPTT = 70
KEPT_TOKENS = 20 * BPTT
BATCH_SIZE = 32
LENGTHS = 128
# spaCy splits more finely, and takes many times as long.
SPLIT = re.compile(r"\w+|[^\w\s]").findall

Rows = list[tuple[str, float]]


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
    data = read_long_texts(arguments.words, SEED)
    print(f"{len(data.train_texts)} texts with labels, {len(data.unlabelled)} without,")
    print(f"{len(data.test_texts)} of other modules to test on")
    print(f"{len(data.packages)} packages: {', '.join(data.packages)}", flush=True)
    perplexities: Rows = []
    if arguments.source is None:
        general = learn_general(arguments, perplexities)
    else:
        general = language_model(arguments, arguments.source)
    before, after = learn_task(general, data, folder, arguments, perplexities)
    accuracies = [("TF-IDF + logistic regression", accuracy(fit_tfidf(data), data))]
    for name, source, weights in (
        ("step 3 alone, random weights", before, None),
        ("steps 1 and 3", before, "auto"),
        ("steps 1, 2 and 3", after, "auto"),
    ):
        print(f"\n{name}", flush=True)
        encoder = AWDLSTMEncoder(
            source,
            weights=weights,
            architecture=AWDLSTMEncoder.classifier_dropouts,
            dropout_multiplier=arguments.dropout,
            pooling="last-max-mean",
            bptt=BPTT,
            kept_tokens=KEPT_TOKENS,
            name="encoder",
        )
        encoder.tokenizer.splitter = general.tokenizer.splitter
        model = build_classifier(encoder, len(data.packages))
        found = classify(model, data, arguments.epochs[2], pretrained=weights is not None)
        accuracies.append((name, accuracy(found, data)))
    model.save(folder / "classifier.keras")
    print(f"\n{'':<35}{'perplexity':>20}")
    for name, value in perplexities:
        print(f"{name:<35}{value:>20.1f}")
    print(f"\n{'':<35}{'test accuracy':>20}")
    for name, value in accuracies:
        error = (value * (1 - value) / len(data.test_texts)) ** 0.5
        print(f"{name:<35}{f'{value:.3f} ± {error:.3f}':>20}")
    print(f"\n{time.perf_counter() - started:.0f} seconds in all")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--source", help="preset name, folder or file of fast.ai's, in place of step 1")
    add(
        "--epochs",
        type=int,
        nargs=3,
        default=(1, 3, 8),
        metavar=("STEP_1", "STEP_2", "STEP_3"),
        help="default: 1 3 8",
    )
    add(
        "--general-words",
        type=int,
        default=400_000,
        help="of step 1 (default: %(default)s; there are about 2,700,000, and the published "
        "networks have read 103,000,000)",
    )
    add("--words", type=int, default=300, help="the most words of a text (default: %(default)s)")
    add("--vocabulary", type=int, default=8000, help="the most words in it (default: %(default)s)")
    add(
        "--dropout",
        type=float,
        default=0.3,
        help="multiplies all rates (default: %(default)s; for a published network rather 1)",
    )
    add("--output", type=Path, help="folder for the networks (default: a temporary one)")
    return parser.parse_args()


# --- steps 1 and 2: language models -----------------------------------------------------------


def learn_general(arguments: argparse.Namespace, table: Rows) -> AWDLSTMEncoder:
    """Step 1, with a vocabulary of its own; adds the perplexities around it to the table."""
    texts, held_out = read_general_texts(arguments.general_words, arguments.words, SEED)
    print(f"\nstep 1: {len(texts)} general texts", flush=True)
    tokenizer = FastaiTokenizer.from_texts(texts, max_words=arguments.vocabulary, splitter=SPLIT)
    sizes = {**SIZES, "vocabulary_size": tokenizer.vocabulary_size}
    encoder = language_model(arguments, architecture=sizes, tokenizer=tokenizer)
    test = stream(encoder, held_out)
    know_frequencies(encoder, texts)
    table.append(("general texts, frequencies of words", perplexity(encoder, test)))
    train(encoder, stream(encoder, texts, shuffle=True), arguments.epochs[0])
    table.append(("general texts, after step 1", perplexity(encoder, test)))
    return encoder


def know_frequencies(encoder: AWDLSTMEncoder, texts: list[str]) -> None:
    """Lets random weights begin with what needs no context.

    Otherwise the first hundreds of steps teach the LSTMs to be saturated, which is how they can
    say the same of every place.
    """
    ids = np.concatenate([encoder.tokenizer(text)["token_ids"] for text in texts])
    counts = 1 + np.bincount(ids, minlength=encoder.tokenizer.vocabulary_size)
    (bias,) = (weight for weight in encoder.weights if weight.path.endswith("decoder/bias"))
    bias.assign(np.log(counts / counts.sum()))


def learn_task(
    general: AWDLSTMEncoder,
    data: LongTexts,
    folder: Path,
    arguments: argparse.Namespace,
    table: Rows,
) -> tuple[Path, Path]:
    """Step 2; the folders of the network in the task's vocabulary, before and after training."""
    old = general.tokenizer
    words = FastaiTokenizer.from_texts(
        data.unlabelled, old.rules, arguments.vocabulary, splitter=old.splitter
    ).vocabulary
    known = len(set(words) & set(old.vocabulary))
    print(f"\nstep 2: {known} of the {len(words)} words are known", flush=True)
    encoder = general.with_vocabulary(words)
    test = stream(encoder, data.test_texts)
    table.append(("the task's texts, before step 2", perplexity(encoder, test)))
    before = encoder.save_weights_as(folder / "general", dialect="fastai")
    # Behind the last LSTM comes the token table, as in fastai: it is the decoder, too, and holds
    # the new words.
    names = [stage.name for stage in encoder.stages if stage.name.startswith("layer_")]
    factors = {name: LAYER_DECAY ** (1 + above) for above, name in enumerate(reversed(names))}
    given = stream(encoder, data.unlabelled, shuffle=True)
    train(encoder, given, arguments.epochs[1], factors)
    table.append(("the task's texts, after step 2", perplexity(encoder, test)))
    return before, encoder.save_weights_as(folder / "tuned", dialect="fastai")


def language_model(
    arguments: argparse.Namespace, source: str | None = None, **options: Any
) -> AWDLSTMEncoder:
    return AWDLSTMEncoder(
        source,
        language_model_logits=True,
        stateful=True,
        state_rows=BATCH_SIZE,
        dropout_multiplier=arguments.dropout,
        **options,
    )


def stream(
    encoder: AWDLSTMEncoder, texts: list[str], shuffle: bool = False
) -> finetune.TokenStream:
    ids = [encoder.tokenizer(text)["token_ids"] for text in texts]
    return finetune.TokenStream(ids, encoder, BATCH_SIZE, BPTT, shuffle, SEED)


def as_model(encoder: AWDLSTMEncoder, optimizer: keras.Optimizer) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, encoder(token_ids))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    return model


def train(
    encoder: AWDLSTMEncoder,
    given: finetune.TokenStream,
    epochs: int,
    factors: dict[str, float] | None = None,
) -> None:
    """Trains a language model; `factors` of the rate are by stage."""
    optimizer = adam(LANGUAGE_MODEL_RATE, epochs * len(given))
    if factors is not None:
        optimizer = finetune.discriminative(optimizer, encoder, factors=factors)
    as_model(encoder, optimizer).fit(given, epochs=epochs, shuffle=False, verbose=2)


def perplexity(encoder: AWDLSTMEncoder, given: finetune.TokenStream) -> float:
    """The exponential of the mean surprise at a token."""
    return math.exp(as_model(encoder, keras.optimizers.SGD()).evaluate(given, verbose=0))


def adam(rate: float, steps: int) -> keras.Optimizer:
    schedule = finetune.SlantedTriangular(rate, steps)
    return keras.optimizers.Adam(schedule, beta_1=0.7, beta_2=0.99, global_clipnorm=1.0)


# --- step 3: classifiers ----------------------------------------------------------------------


def build_classifier(encoder: AWDLSTMEncoder, classes: int) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    inputs = {"token_ids": token_ids, "padding_mask": mask}
    head = ULMFiTClassifier(classes, activation="softmax", name="package")
    return keras.Model(inputs, head(encoder(inputs)))


def classify(model: keras.Model, data: LongTexts, epochs: int, pretrained: bool) -> np.ndarray:
    """Trains on the labelled texts; the labels that the model then gives the test texts.

    Random weights all train from the start, at the rate that suits them in language models.
    """
    encoder = model.get_layer("encoder")
    batches = buckets(encoder, data.train_texts, data.train_labels, shuffle=True)
    rate = CLASSIFIER_RATE if pretrained else LANGUAGE_MODEL_RATE
    optimizer = adam(rate, epochs * len(batches))
    callbacks = []
    if pretrained:
        optimizer = finetune.discriminative(optimizer, encoder, layer_decay=LAYER_DECAY)
        # The second half of the epochs trains everything.
        every = max(1, epochs // (2 * (len(encoder.stages) - 1)))
        callbacks.append(finetune.GradualUnfreezing(encoder, every=every))
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    model.fit(batches, epochs=epochs, shuffle=False, verbose=2, callbacks=callbacks)
    tested = buckets(encoder, data.test_texts, None, shuffle=False)
    return tested.restore(model.predict(tested, verbose=0)).argmax(axis=1)


def accuracy(found: np.ndarray, data: LongTexts) -> float:
    return float(np.mean(found == data.test_labels))


def buckets(
    encoder: AWDLSTMEncoder, texts: list[str], labels: np.ndarray | None, shuffle: bool
) -> finetune.LengthBuckets:
    """Batches of texts of like length."""
    inputs = encoder.tokenizer(texts)
    longest = inputs["token_ids"].shape[1]
    return finetune.bucket_by_length(
        inputs,
        labels,
        batch_size=BATCH_SIZE,
        lengths=[*range(LENGTHS, longest, LENGTHS), longest],
        shuffle=shuffle,
        seed=SEED,
    )


if __name__ == "__main__":
    main()
