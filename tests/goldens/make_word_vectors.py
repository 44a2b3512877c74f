"""Golden data of word vectors, made by fastText and gensim themselves.

Programs: `fasttext.train_unsupervised` and `train_supervised` train tiny models and write them;
`gensim.models.KeyedVectors` writes the vectors in word2vec's formats and in GloVe's (word2vec's
text without its header), and says which words are alike.
Versions: Python 3.11, fasttext-wheel 0.9.2, gensim 4.4.0, numpy 2.4.6 (and, as found when it ran,
in `word_vectors/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_word_vectors.py

Files in `word_vectors/`:

    model.bin, model.vec        fastText, skip-gram with parts of 2 to 4 characters
    old.bin                     model.bin in the layout before 2017 (written by this script)
    supervised.bin, labels.ftz  fastText classifiers, plain and compressed
    word2vec.bin, word2vec.txt  the vectors of model.bin, written by gensim
    glove.txt                   the same without a header
    expected.npz                words and their vectors; what gensim says of likeness
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "word_vectors"
SENTENCES = """\
the dog barks at the cat and the cat runs
a dog and a cat sleep in the house
the king rules the land and the queen rules the sea
ein Hund bellt und eine Katze schläft über dem Hügel
кошка и собака спят в доме
犬 が 吠える and 猫 が 走る
the naïve café serves crème brûlée 🍮 to the king
runs running runner sleep sleeping sleeper
"""
UNSEEN = ["dogs", "kings", "Hunde", "собаки", "吠", "xyz", "🍮🍮", "x", "unbelievably"]
TRAINING = {"dim": 6, "bucket": 50, "minn": 2, "maxn": 4, "minCount": 1, "epoch": 5, "thread": 1}


def train(folder: Path) -> Any:
    import fasttext

    corpus = folder / "corpus.txt"
    corpus.write_text(SENTENCES * 20, encoding="utf-8")
    model = fasttext.train_unsupervised(str(corpus), model="skipgram", verbose=0, **TRAINING)
    model.save_model(str(FOLDER / "model.bin"))
    lines = [f"{len(model.words)} {model.get_dimension()}"]
    for word in model.words:
        # As the command `fasttext` writes a .vec: five digits, a blank behind each.
        values = " ".join(f"{value:.5g}" for value in model.get_word_vector(word))
        lines.append(f"{word} {values} ")
    (FOLDER / "model.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return model


def train_classifiers(folder: Path) -> None:
    import fasttext

    corpus = folder / "labelled.txt"
    lines = [f"__label__{len(line) % 2} {line}" for line in SENTENCES.splitlines() * 20]
    corpus.write_text("\n".join(lines), encoding="utf-8")
    # Buckets of pairs of words, which are no parts; compression needs 256 rows.
    options = {"dim": 4, "epoch": 2, "thread": 1, "wordNgrams": 2, "bucket": 256}
    model = fasttext.train_supervised(str(corpus), verbose=0, **options)
    model.save_model(str(FOLDER / "supervised.bin"))
    np.savez(
        folder / "supervised.npz",
        supervised_words=np.array(model.words),
        supervised_vectors=np.stack([model.get_word_vector(word) for word in model.words]),
    )
    model.quantize(input=str(corpus), dsub=2)
    model.save_model(str(FOLDER / "labels.ftz"))


def write_old_layout() -> None:
    """Without magic number, version, the number of pruned words and the marks of compression."""
    data = (FOLDER / "model.bin").read_bytes()
    arguments, counts = 8, 8 + 12 * 4 + 8
    entries = struct.unpack_from("<i", data, counts)[0]
    place = counts + 3 * 4 + 8
    dictionary = place + 8
    end = dictionary
    for _ in range(entries):
        end = data.index(b"\0", end) + 10
    rows, width = struct.unpack_from("<qq", data, end + 1)
    table = data[end + 1 : end + 17 + 4 * rows * width]
    output = data[end + 17 + 4 * rows * width + 1 :]
    old = data[arguments:place] + data[dictionary:end] + table + output
    (FOLDER / "old.bin").write_bytes(old)


def write_with_gensim(model: Any) -> dict[str, np.ndarray]:
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(model.get_dimension())
    vectors.add_vectors(model.words, [model.get_word_vector(word) for word in model.words])
    vectors.save_word2vec_format(str(FOLDER / "word2vec.bin"), binary=True)
    vectors.save_word2vec_format(str(FOLDER / "word2vec.txt"), binary=False)
    vectors.save_word2vec_format(str(FOLDER / "glove.txt"), binary=False, write_header=False)
    alike = vectors.most_similar("dog", topn=10)
    analogy = vectors.most_similar(positive=["cat", "king"], negative=["dog"], topn=5)
    return {
        "alike_words": np.array([word for word, _ in alike]),
        "alike_cosines": np.array([cosine for _, cosine in alike]),
        "analogy_words": np.array([word for word, _ in analogy]),
        "analogy_cosines": np.array([cosine for _, cosine in analogy]),
        "similarity": np.array(vectors.similarity("king", "queen")),
    }


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with tempfile.TemporaryDirectory() as place:
        model = train(Path(place))
        train_classifiers(Path(place))
        supervised = dict(np.load(Path(place) / "supervised.npz"))
    write_old_layout()
    words = [*model.words, *UNSEEN]
    expected = {
        "words": np.array(words),
        "vectors": np.stack([model.get_word_vector(word) for word in words]),
        **supervised,
        **write_with_gensim(model),
    }
    np.savez_compressed(FOLDER / "expected.npz", **expected)
    versions = {name: importlib.metadata.version(name) for name in ("gensim", "numpy")}
    versions["fasttext-wheel"] = importlib.metadata.version("fasttext-wheel")
    golden = {
        "programs": "fastText and gensim",
        "command": "python tests/goldens/make_word_vectors.py",
        "python": sys.version.split()[0],
        "versions": versions,
        "training": TRAINING,
        "arrays": {name: [str(each.dtype), list(each.shape)] for name, each in expected.items()},
    }
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
