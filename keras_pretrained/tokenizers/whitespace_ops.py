"""The graph of word lookups: split at white space, then find each word's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_pretrained.tokenizers.lazy import tensorflow

# The most that `to_hash_bucket_fast` takes; its hash "will never change".
_BUCKETS = 2**63 - 1


class WhitespaceOps:
    """Texts to ids of words, as TensorFlow operations: eagerly, in `tf.function`, in `tf.data`.

    Words are looked up by a hash of 63 bits in a sorted list. A lookup table would be a resource
    that everything has to carry along that saves or copies the graph; these are two constants.

    Args:
        ids: the bytes of each word -> its id.
        unknown_id: the id of all other words.
        lowercase: whether texts are lower-cased first.

    Raises:
        ValueError: two words have one hash, which is a chance of one in a million for a million
            words.
    """

    def __init__(self, ids: Mapping[bytes, int], unknown_id: int, lowercase: bool) -> None:
        tf = tensorflow()
        self._unknown_id = unknown_id
        self._lowercase = lowercase
        with tf.init_scope(), tf.device("CPU:0"):
            words = tf.constant(list(ids), tf.string, shape=(len(ids),))
            hashes = tf.strings.to_hash_bucket_fast(words, _BUCKETS)
            order = tf.argsort(hashes)
            numbers = tf.constant(list(ids.values()), tf.int32, shape=(len(ids),))
            # The last hash is one that no word has: every search ends before it or at it.
            self._hashes = tf.concat([tf.gather(hashes, order), [_BUCKETS]], 0)
            self._ids = tf.concat([tf.gather(numbers, order), [unknown_id]], 0)
            same = tf.where(self._hashes[1:] == self._hashes[:-1])[:, 0].numpy()
            if len(same):
                pair = tf.gather(words, order[same[0] : same[0] + 2]).numpy()
                raise ValueError(
                    f"The words {pair[0]!r} and {pair[1]!r} have the same hash, so that one "
                    "vocabulary cannot hold both. Leave one of them out."
                )

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""
        tf = tensorflow()
        if is_split:
            # What fills up lists of words of different lengths is no word.
            there = tf.not_equal(strings, "")
            words = tf.RaggedTensor.from_row_lengths(
                tf.boolean_mask(strings, there), tf.cast(there, tf.int64), validate=False
            )
        else:
            words = tf.strings.split(strings)
        return words.with_values(self.lookup(words.values))

    def lookup(self, words: Any) -> Any:
        """Words of any shape to int32 ids of that shape; 0 for the empty string."""
        tf = tensorflow()
        if self._lowercase:
            words = tf.strings.lower(words, encoding="utf-8")
        flat = tf.strings.to_hash_bucket_fast(tf.reshape(words, [-1]), _BUCKETS)
        places = tf.searchsorted(self._hashes, flat)
        found = tf.equal(tf.gather(self._hashes, places), flat)
        ids = tf.where(found, tf.gather(self._ids, places), self._unknown_id)
        return tf.where(tf.equal(words, ""), 0, tf.reshape(ids, tf.shape(words)))
