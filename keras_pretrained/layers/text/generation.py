"""Continuing texts: one compiled program with a cache of keys and values, static shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers.text.ids import check_range
from keras_pretrained.layers.text.sampling import Sampling
from keras_pretrained.layers.text.strings import holds_python_strings, holds_strings
from keras_pretrained.tokenizers.inputs import read_texts

Cache = list[tuple[Any, ...]]
"""Keys and values of each block, (batch, heads, all positions, head size)."""

_SMALLEST = 16


@dataclass(frozen=True)
class Prompts:
    """Prompts of one batch, padded on the left.

    Attributes:
        token_ids, mask: (batch, length), int32.
        texts: whether they were texts.
        is_single: whether it was one text instead of a batch.
    """

    token_ids: np.ndarray
    mask: np.ndarray
    texts: bool = False
    is_single: bool = False

    @property
    def lengths(self) -> np.ndarray:
        return self.mask.sum(axis=1)


class Generating:
    """Gives a decoder `generate`; the decoder implements the two steps."""

    architecture: Any
    tokenizer: Any
    has_tokenizer: bool
    variables: Any
    name: Any
    input_names: Any
    id_counts: Any

    def first_step(self, token_ids: Any, padding_mask: Any, room: int) -> tuple[Any, Cache]:
        """Runs the prompts.

        Args:
            token_ids, padding_mask: (batch, length).
            room: how many positions the cache needs behind the prompts.

        Returns:
            The logits of the next token, (batch, vocabulary), and the cache.
        """
        raise NotImplementedError

    def next_step(
        self, token_ids: Any, positions: Any, here: Any, key_mask: Any, cache: Cache
    ) -> tuple[Any, Cache]:
        """Runs one position.

        Args:
            token_ids, positions: (batch, 1).
            here: (all positions,), true at the place of the new one in the cache.
            key_mask: (batch, all positions), 1 where a key may be attended to.
            cache: of the positions before.

        Returns:
            As `first_step`.
        """
        raise NotImplementedError

    def generate(
        self,
        prompts: Any,
        max_new_tokens: int = 32,
        *,
        temperature: float | None = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: int | Sequence[int] | None = None,
        padding_mask: Any = None,
    ) -> Any:
        """Continues texts or rows of ids.

        Args:
            prompts: one text, a list, array or tensor of texts, ids (batch, length), or what the
                tokenizer makes: a dictionary of `token_ids` and `padding_mask`.
            max_new_tokens: how many tokens to add at most. One program is compiled for each
                number, size of batch and bucket of prompt lengths (16, 32, 64, ...), by XLA unless
                the layer was made with `jit_compile=False`.
            temperature: divides the logits; 0 or None takes the most likely token (greedy).
            top_k: only the k most likely tokens can be chosen.
            top_p: only the most likely tokens that together have at least this probability can be.
            seed: equal seeds give equal continuations, on every backend; None: a new one.
            stop: the id, or several, after which a row ends; by default the end-of-text token of
                the vocabulary, if there is one. `()` for none.
            padding_mask: (batch, length), 1 = real, where ids are padded; on either side.

        Returns:
            For texts: the prompts with their continuations, a str or a list of str. For ids: int32
            (batch, length + new tokens) with padding on the left, as many new tokens as the longest
            row has; a row that ended before repeats its stop token.

        Raises:
            ValueError: a wrong argument, an empty prompt, or one that leaves no room in the
                position table; the message names the limit.
        """
        sampling = Sampling(temperature, top_k, top_p)
        given = self._prompts(prompts, padding_mask)
        _check_seed(seed)
        count = self._checked_count(given, max_new_tokens)
        stops = self._stops(stop)
        uniform = np.random.default_rng(seed).random((count, len(given.mask)), dtype="float32")
        token_ids, mask = _padded(given)
        program = self._program(sampling, count, len(stops))
        made = np.asarray(program(token_ids, mask, uniform, stops))
        made = made[:, : _used(made, stops)]
        if not given.texts:
            return np.concatenate([given.token_ids, made], axis=1)
        texts = [
            self.tokenizer.decode([*ids[real == 1].tolist(), *_until(new, stops)])
            for ids, real, new in zip(given.token_ids, given.mask, made, strict=True)
        ]
        return texts[0] if given.is_single else texts

    # --- arguments --------------------------------------------------------------------------

    def _prompts(self, prompts: Any, padding_mask: Any) -> Prompts:
        if isinstance(prompts, Mapping):
            prompts, padding_mask = self._of_dictionary(prompts, padding_mask)
        if holds_strings(prompts) or holds_python_strings(prompts):
            found = self._of_texts(prompts)
        else:
            found = _of_ids(prompts, padding_mask)
        if not found.mask.any(axis=1).all():
            row = int(np.argmin(found.mask.any(axis=1)))
            raise ValueError(f"A prompt must have at least one token. Received: none in row {row}.")
        check_range(found.token_ids, self.id_counts, self.name)
        return found

    def _of_dictionary(self, prompts: Mapping[str, Any], padding_mask: Any) -> tuple[Any, Any]:
        if not {"token_ids"} <= set(prompts) <= set(self.input_names) or padding_mask is not None:
            besides = "" if padding_mask is None else ", and padding_mask besides"
            raise ValueError(
                "A dictionary of `prompts` holds token_ids and perhaps their padding_mask. "
                f"Received: {', '.join(map(str, prompts))}{besides}"
            )
        return prompts["token_ids"], prompts.get("padding_mask")

    def _of_texts(self, prompts: Any) -> Prompts:
        # Nothing continues a pair of texts.
        batch = list(prompts) if isinstance(prompts, tuple) else prompts
        read = read_texts(batch, is_split=False, name="prompts")
        if read.count() == 0:
            raise ValueError("`prompts` must hold at least one text. Received: none.")
        ids = self.tokenizer(read.strings, pad_side="left", pad_to="longest")
        return Prompts(ids["token_ids"], ids["padding_mask"], True, read.is_single)

    def _checked_count(self, prompts: Prompts, count: int) -> int:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"`max_new_tokens` must be an int from 1 on. Received: {count!r}")
        limit, longest = self.architecture.max_positions, int(prompts.lengths.max())
        if longest + count > limit:
            raise ValueError(
                f"Layer {self.name!r} has {limit} positions. A prompt of {longest} tokens and "
                f"max_new_tokens={count} need {longest + count}. Shorten the prompt or generate "
                f"{max(limit - longest, 0)} tokens at most."
            )
        return count

    def _stops(self, stop: int | Sequence[int] | None) -> np.ndarray:
        if stop is None:
            end = getattr(self.tokenizer, "end_id", None) if self.has_tokenizer else None
            stop = () if end is None else end
        ids = [stop] if isinstance(stop, int) else list(stop)
        size = self.architecture.vocabulary_size
        if not all(isinstance(each, int | np.integer) and 0 <= each < size for each in ids):
            raise ValueError(f"`stop` must be ids from 0 to {size - 1}. Received: {stop!r}")
        return np.array(ids, "int32")

    # --- the program ------------------------------------------------------------------------

    def _program(self, sampling: Sampling, count: int, stops: int) -> Callable[..., Any]:
        programs: dict[Any, Any] = self.__dict__.setdefault("_programs", {})
        key = (sampling, count, stops)
        if key not in programs:
            programs[key] = _compiled(self, sampling, count)
        return programs[key]


def _compiled(decoder: Any, sampling: Sampling, count: int) -> Callable[..., Any]:
    def run(token_ids: Any, mask: Any, uniform: Any, stops: Any) -> Any:
        return _continue(decoder, sampling, count, token_ids, mask, uniform, stops)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = decoder.jit_compile is not False
        return tf.function(run, autograph=False, jit_compile=compiled)
    import jax

    variables = list(decoder.variables)

    def stateless(values: Any, *arguments: Any) -> Any:
        # Weights that are closed over would become constants of the program.
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return run(*arguments)

    program = jax.jit(stateless)
    return lambda *arguments: program([v.value for v in variables], *arguments)


def _continue(
    decoder: Any,
    sampling: Sampling,
    count: int,
    token_ids: Any,
    mask: Any,
    uniform: Any,
    stops: Any,
) -> Any:
    """The new tokens, (batch, count)."""
    ops = keras.ops
    batch, length = token_ids.shape
    logits, cache = decoder.first_step(token_ids, mask, room=count)
    places = ops.arange(length + count, dtype="int32")
    real = ops.concatenate([ops.cast(mask, "int32"), ops.ones((batch, count), "int32")], axis=1)
    positions = ops.sum(ops.cast(mask, "int32"), axis=1)
    columns = ops.arange(count, dtype="int32")

    def ended(tokens: Any) -> Any:
        if not stops.shape[0]:
            return ops.zeros_like(tokens, dtype="bool")
        return ops.any(tokens[:, None] == stops[None], axis=1)

    def put(made: Any, step: Any, tokens: Any) -> Any:
        return ops.where(columns[None] == step, tokens[:, None], made)

    first = sampling.choose(logits, uniform[0])
    made = put(ops.zeros((batch, count), "int32"), 0, first)

    def unfinished(step: Any, tokens: Any, finished: Any, made: Any, cache: Any) -> Any:
        return ops.logical_and(step < count, ops.logical_not(ops.all(finished)))

    def body(step: Any, tokens: Any, finished: Any, made: Any, cache: Any) -> Any:
        place = length + step - 1
        key_mask = real * ops.cast(places <= place, "int32")[None]
        logits, cache = decoder.next_step(
            tokens[:, None], (positions + step - 1)[:, None], places == place, key_mask, cache
        )
        chosen = sampling.choose(logits, ops.take(uniform, step, axis=0))
        tokens = ops.where(finished, tokens, chosen)
        finished = ops.logical_or(finished, ended(tokens))
        return step + 1, tokens, finished, put(made, step, tokens), cache

    state = (ops.convert_to_tensor(1, "int32"), first, ended(first), made, cache)
    step, tokens, _, made, _ = ops.while_loop(unfinished, body, state, maximum_iterations=count)
    # Rows that ended repeat their stop token, up to the last column.
    return ops.where(columns[None] >= step, tokens[:, None], made)


# --- rows ------------------------------------------------------------------------------------


def _of_ids(prompts: Any, padding_mask: Any) -> Prompts:
    try:
        token_ids = np.asarray(keras.ops.convert_to_numpy(prompts))
    except ValueError as error:
        raise ValueError(
            "Rows of ids must have one length: `prompts` of shape (batch, length), with a "
            f"`padding_mask` where rows are filled up. Received: {prompts!r:.60}"
        ) from error
    if token_ids.ndim != 2 or token_ids.dtype.kind not in "iu" or 0 in token_ids.shape:
        raise ValueError(
            "`prompts` must be texts or integer ids of shape (batch, length). Received: "
            f"{token_ids.dtype} of shape {token_ids.shape}"
        )
    mask = np.ones_like(token_ids)
    if padding_mask is not None:
        mask = np.asarray(keras.ops.convert_to_numpy(padding_mask))
    if mask.shape != token_ids.shape:
        raise ValueError(
            f"`padding_mask` must have the shape of the ids, {token_ids.shape}. "
            f"Received: {mask.shape}"
        )
    token_ids, mask = _left_padded(token_ids, mask)
    return Prompts(token_ids.astype("int32"), mask.astype("int32"))


def _left_padded(token_ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows with their real tokens, in order, at the right end."""
    order = np.argsort(mask != 0, axis=1, kind="stable")
    return np.take_along_axis(token_ids, order, 1), np.take_along_axis(mask, order, 1)


def _padded(prompts: Prompts) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask with more padding, so that few lengths are compiled."""
    length = bucket = prompts.mask.shape[1]
    bucket = _SMALLEST
    while bucket < length:
        bucket *= 2
    padding = [(0, 0), (bucket - length, 0)]
    return np.pad(prompts.token_ids, padding), np.pad(prompts.mask, padding)


def _check_seed(seed: Any) -> None:
    if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
        raise ValueError(f"`seed` must be an int from 0 on, or None. Received: {seed!r}")


def _used(made: np.ndarray, stops: np.ndarray) -> int:
    """How many columns hold a token that is not a repeated stop token."""
    return max(len(_until(row, stops)) for row in made)


def _until(row: np.ndarray, stops: np.ndarray) -> list[int]:
    """A row up to its first stop token."""
    found = np.flatnonzero(np.isin(row, stops))
    return row[: found[0] + 1].tolist() if len(found) else row.tolist()
