"""`WordEmbedding`: GloVe, word2vec and fastText vectors as a Keras layer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_pretrained.checkpoints.word_vectors import WordVectors, write_word_vectors
from keras_pretrained.layers.blocks.word_table import WordTable
from keras_pretrained.layers.depth import Depth, Stage, StageCall, State
from keras_pretrained.layers.text.strings import holds_strings, is_split
from keras_pretrained.layers.text.text_encoder import TextEncoder
from keras_pretrained.layers.words.word_lookups import WordLookups
from keras_pretrained.layers.words.word_vector_source import (
    OUT_OF_VOCABULARY,
    SPECIAL_ROWS,
    WordReport,
    WordSource,
    check_lowercase,
    open_source,
    read_table,
    read_vocabulary,
    report_of,
    table_values,
)
from keras_pretrained.presets import Preset
from keras_pretrained.tokenizers import WhitespaceTokenizer
from keras_pretrained.tokenizers.whitespace import NO_LIMIT, PADDING, UNKNOWN
from keras_pretrained.weights import WeightsError
from keras_pretrained.weights.report import shortened


@dataclass(frozen=True)
class WordArchitecture:
    """The numbers that make a table.

    Args:
        vocabulary_size: rows: padding, the row of unknown words, and one a word.
        hidden_size: the size of a vector.
    """

    vocabulary_size: int
    hidden_size: int

    def __post_init__(self) -> None:
        if self.vocabulary_size < SPECIAL_ROWS or self.hidden_size < 1:
            raise ValueError(
                f"vocabulary_size must be at least {SPECIAL_ROWS}, and hidden_size at least 1. "
                f"Received: {self}"
            )


@keras.saving.register_keras_serializable(package="keras_pretrained")
class WordEmbedding(WordLookups, TextEncoder):
    """Word vectors as a layer: texts, words or ids in; one vector a word, or one a text, out.

    Ids are those of `keras.layers.TextVectorization`: 0 is padding, which gives zeros and is
    masked; 1 is every word that the vocabulary lacks; the words count from 2.

    Args:
        source: a preset name (`list_presets(family="word-vectors")`), or a local path or an
            address: GloVe's text, word2vec's `.bin` or text, fastText's `.bin` or `.vec`, each
            also as `.gz`; or a folder that holds one of them.
        vocabulary: the words of the table: a list (also as Keras' `get_vocabulary()` gives it),
            or the path of a file with one word a line. Of the source, only their vectors are
            read. None: all words of the source.
        max_words: without a vocabulary: the first so many words of the source, which as a rule
            are the most frequent ones.
        out_of_vocabulary: the vectors of words for which the source has none, and of all words
            that the vocabulary lacks: `"zero"`, `"mean"` of all vectors, or `"random"` with their
            mean and spread. A fastText `.bin` has a vector for nearly every word.
        trainable_from: None (default): the table is frozen; 0: it trains.
        pooling: None, or one vector a text: `"mean"`, `"max"`, `"mean-max"`, `"last"`, `"cls"`
            (the first word), padding left out.
        max_length: the most words of a text; longer ones are cut. None: no limit.
        lowercase: whether texts are lower-cased before words are looked up. None: as the preset's
            vectors were trained; not for a path.
        weights: `"auto"`; None for random vectors; or the path of another file.
        dialect: `"glove"`, `"word2vec"`, `"word2vec-text"` or `"fasttext"`, when the content of
            the file does not tell.
        encoding: of the words in the file.
        cache: whether a text that was parsed as a whole is kept in binary form, in
            `KERAS_PRETRAINED_HOME`, for the next time.
        architecture: a `WordArchitecture` in place of a source, for random vectors.
        tokenizer: a `WhitespaceTokenizer` for a layer without a source.

    Inputs: int32 ids (batch, length), or a dictionary that may add `padding_mask`; on TensorFlow
    also strings, texts (batch,), which are split at white space, or words (batch, length), filled
    up with `""`.

    Example:

    ```python
    layer = WordEmbedding("glove-6b-100d", vocabulary=["the", "dog", "barks"])
    layer(["the dog barks"]).shape            # (1, 32, 100), of which 3 are words
    layer.most_similar("dog", count=1)
    ```

    Raises:
        ValueError: a wrong argument, with the valid ones; `CheckpointError` when the file is
            damaged, with the line or the word.

    References: [GloVe](https://nlp.stanford.edu/pubs/glove.pdf),
    [word2vec](https://arxiv.org/abs/1310.4546), [fastText](https://arxiv.org/abs/1607.04606).
    """

    tokenizer_class = WhitespaceTokenizer
    takes_words = True
    load_report: WordReport | None

    def __init__(
        self,
        source: str | os.PathLike[str] | Preset | None = None,
        *,
        vocabulary: Sequence[str] | str | os.PathLike[str] | None = None,
        max_words: int | None = None,
        out_of_vocabulary: str = "zero",
        trainable_from: Depth = None,
        pooling: str | None = None,
        max_length: int | None = None,
        lowercase: bool | None = None,
        weights: str | os.PathLike[str] | None = "auto",
        dialect: str = "auto",
        encoding: str = "utf-8",
        cache: bool = True,
        architecture: WordArchitecture | Mapping[str, Any] | None = None,
        tokenizer: WhitespaceTokenizer | Mapping[str, Any] | None = None,
        preset: str | None = None,
        jit_compile: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(jit_compile=jit_compile, **kwargs)
        _check_choices(source, vocabulary, max_words, out_of_vocabulary, architecture)
        self.out_of_vocabulary = out_of_vocabulary
        self.configure_outputs(0, pooling, -1)
        report = None
        if source is not None:
            found = open_source(source, weights, dialect, encoding, cache)
            if lowercase is not None:
                found = replace(found, lowercase=lowercase)
            found, report = self._read(found, read_vocabulary(vocabulary), max_words)
            tokenizer = _tokenizer(found, max_length)
            architecture = WordArchitecture(found.rows, found.width)
        else:
            found = WordSource()
        if not isinstance(architecture, WordArchitecture):
            architecture = WordArchitecture(**(architecture or {}))
        self.architecture = architecture
        self.preset = found.preset or preset
        self.configure_tokenizer(tokenizer)
        self._file: WordVectors | None = found.file
        self.embedding = WordTable(
            self.architecture.vocabulary_size,
            self.architecture.hidden_size,
            found.make_values,
            dtype=self.dtype_policy,
            name="embedding",
        )
        self.declare([Stage("stem", (self.embedding,), self._embed)], trainable_from)
        self.create(asdict(self.architecture))
        self.load_report = report

    def _read(
        self, found: WordSource, words: list[str] | None, max_words: int | None
    ) -> tuple[WordSource, WordReport | None]:
        """The source with the words of the table and what makes its values."""
        if found.lowercase and words is not None:
            check_lowercase(words)
        if found.file is None:
            rows = found.rows if words is None else len(words) + SPECIAL_ROWS
            return replace(found, words=words, rows=rows), None
        table, missing = read_table(found.file, words, max_words)
        words = table.words if words is None else words
        values = partial(table_values, table, words, missing, self.out_of_vocabulary)
        report = report_of(found.file, table, missing, "embedding/vectors")
        rows = len(words) + SPECIAL_ROWS
        return replace(found, words=words, rows=rows, make_values=values), report

    # --- the network ------------------------------------------------------------------------

    def build_network(self) -> None:
        self.embedding.build()

    def _embed(self, state: State, call: StageCall) -> State:
        state = {**state, "hidden": self.embedding(state["token_ids"], training=call.training)}
        return self.record(state, 0, call)

    def tokenize_inputs(self, texts: Sequence[Any], pad_to: int | None = None) -> dict[str, Any]:
        """Ids of texts `(batch,)`, or of words `(batch, length)`, which keep their places."""
        if not is_split(texts[0]):
            return super().tokenize_inputs(texts, pad_to)
        ids = self.tokenizer.lookup(texts[0])
        # Arrays outside of graphs, as the tokenizer's own.
        cast = np.asarray if isinstance(ids, np.ndarray) else keras.ops.cast
        return {"token_ids": ids, "padding_mask": cast(ids != 0, "int32")}

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, features: bool = False
    ) -> Any:
        spec = super().compute_output_spec(inputs, training=training, features=features)
        if features or self.pooling is not None or not holds_strings(inputs):
            return spec
        (strings,) = self.texts_of(inputs)
        length = strings.shape[1] if is_split(strings) else None
        return keras.KerasTensor((spec.shape[0], length, spec.shape[2]), dtype=spec.dtype)

    def texts_of(self, inputs: Any) -> tuple[Any, ...]:
        """One string tensor; there are no pairs."""
        sides = super().texts_of(inputs)
        if len(sides) != 1:
            raise ValueError(
                f"Layer {self.name!r} takes texts, not pairs of them. "
                f"Received: {len(sides)} string tensors"
            )
        return sides

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("token_ids", "padding_mask")

    @property
    def hidden_size(self) -> int:
        return self.architecture.hidden_size

    @property
    def tokenizer(self) -> WhitespaceTokenizer:
        """Texts -> ids, by this layer's vocabulary."""
        return cast(WhitespaceTokenizer, super().tokenizer)

    # --- files ------------------------------------------------------------------------------

    def load_weights_from(
        self, path: str | os.PathLike[str], dialect: str = "auto", encoding: str = "utf-8"
    ) -> WordReport:
        """Replaces the vectors of all words by those of another file, or changes nothing.

        The rows of padding and of unknown words stay as they are.

        Raises:
            WeightsError: the file has no vector for some of the words, or vectors of another size.
        """
        found = open_source(path, "auto", dialect, encoding, keep=True)
        file, words = found.file, self.vocabulary[SPECIAL_ROWS:]
        if file is None or file.width != self.hidden_size:
            raise WeightsError(
                f"{str(path)!r} has vectors of {found.width} values. Expected {self.hidden_size}, "
                f"as layer {self.name!r} has."
            )
        table, missing = read_table(file, words, None)
        if missing:
            raise WeightsError(
                f"{str(path)!r} has no vectors for {len(missing):,} of the {len(words):,} words of "
                f"layer {self.name!r}: {shortened([*missing])}. Make a new layer with "
                "`vocabulary=layer.vocabulary` to have them filled in."
            )
        special = self.table()[:SPECIAL_ROWS]
        self.embedding.vectors.assign(np.concatenate([special, table.vectors]))
        self._file = file
        self.load_report = report_of(file, table, (), "embedding/vectors")
        return self.load_report

    def save_weights_as(self, path: str | os.PathLike[str], dialect: str = "word2vec") -> Path:
        """Writes the words and their vectors as a file that the original programs read.

        Args:
            path: the file.
            dialect: `"glove"` (text), `"word2vec"` (binary), `"word2vec-text"` or `"fasttext"`
                (text with a header: fastText's `.vec`; its `.bin` needs the parts of words,
                which a table of words does not hold).

        Returns:
            The path, which `WordEmbedding` takes as a source.
        """
        words = self.vocabulary[SPECIAL_ROWS:]
        return write_word_vectors(path, words, self.table()[SPECIAL_ROWS:], dialect)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "architecture": asdict(self.architecture),
            "preset": self.preset,
            "trainable_from": self.trainable_from,
            "pooling": self.pooling,
            "out_of_vocabulary": self.out_of_vocabulary,
            "tokenizer": self.tokenizer_config,
        }


def _check_choices(
    source: Any, vocabulary: Any, max_words: int | None, out_of_vocabulary: str, architecture: Any
) -> None:
    if (source is None) == (architecture is None):
        raise ValueError(
            "WordEmbedding needs either a `source` (a preset name or a path), or an `architecture` "
            "(vocabulary_size and hidden_size) for random vectors. Received: "
            f"{'neither' if source is None else 'both'}."
        )
    if out_of_vocabulary not in OUT_OF_VOCABULARY:
        raise ValueError(
            f"`out_of_vocabulary` must be one of {', '.join(map(repr, OUT_OF_VOCABULARY))}. "
            f"Received: {out_of_vocabulary!r}"
        )
    if source is None and (vocabulary is not None or max_words is not None):
        raise ValueError(
            "`vocabulary` and `max_words` choose words of a `source`. Without one, give the layer "
            "its words with `tokenizer=WhitespaceTokenizer(words)`."
        )
    if max_words is not None and (vocabulary is not None or max_words < 1):
        raise ValueError(
            "`max_words` takes the first words of the source, at least one; a `vocabulary` says "
            f"itself which. Received: max_words={max_words}, and "
            f"{'no' if vocabulary is None else 'a'} vocabulary"
        )


def _tokenizer(found: WordSource, max_length: int | None) -> WhitespaceTokenizer | None:
    if found.words is None:
        return None
    # So that a word of the file that looks like one of these two is none.
    words = [PADDING, UNKNOWN, *found.words]
    return WhitespaceTokenizer(words, bool(found.lowercase), max_length or NO_LIMIT)
