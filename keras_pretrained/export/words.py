"""Texts as words, for models with one output a token: the outputs of their words."""

from __future__ import annotations

from typing import Any


def word_tokens(tokenizer: Any, texts: Any, length: int | None) -> dict[str, Any]:
    """What a tokenizer makes of texts that are split at white space, with `word_ids`.

    Args:
        texts: strings (batch,).
        length: of the rows; by default one of a few.
    """
    import tensorflow as tf

    made = tokenizer(tf.strings.split(texts), is_split=True, pad_to=length or "buckets")
    if "word_ids" not in made:  # ELMo has a place for each word.
        mask = tf.convert_to_tensor(made["padding_mask"])
        made["word_ids"] = tf.where(mask == 1, tf.range(tf.shape(mask)[1])[None], -1)
    return made


def at_words(outputs: Any, word_ids: Any) -> Any:
    """Outputs (batch, length, ...) of each word's first token: (batch, words, ...).

    Rows of texts with fewer words than others, and of words that were cut off, are zero.
    """
    import tensorflow as tf

    outputs, word_ids = tf.convert_to_tensor(outputs), tf.convert_to_tensor(word_ids)
    before = tf.pad(word_ids[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    places = tf.where((word_ids >= 0) & (word_ids != before))
    words = tf.cast(tf.gather_nd(word_ids, places), tf.int64)
    targets = tf.stack([places[:, 0], words], axis=1)
    count = tf.cast(tf.reduce_max(word_ids) + 1, tf.int64)
    shape = tf.shape(outputs, tf.int64)
    shape = tf.concat([shape[:1], count[None], shape[2:]], axis=0)
    return tf.scatter_nd(targets, tf.gather_nd(outputs, places), shape)
