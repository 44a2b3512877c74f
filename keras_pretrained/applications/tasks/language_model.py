"""`LanguageModel`: texts -> how they go on."""

from __future__ import annotations

import os
from typing import Any

import keras

from keras_pretrained.applications.tasks.language_task import LanguageTask
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.token_blocks import token_blocks, token_rows
from keras_pretrained.layers.recurrent.awd_lstm import AWDLSTMEncoder
from keras_pretrained.layers.text.family import family_of, layer_of
from keras_pretrained.layers.transformers.gpt2 import GPT2Decoder
from keras_pretrained.weights import LoadReport

BLOCK_LENGTH = 128


@keras.saving.register_keras_serializable(package="keras_pretrained")
class LanguageModel(LanguageTask):
    """Texts in; the same texts, continued, out.

    A functional model on token ids: GPT-2, or ULMFiT's network, with its own logits of the next
    token, (texts, length, vocabulary).

    Args:
        source: a preset name, a path, or a `GPT2Decoder` or `AWDLSTMEncoder` with
            `language_model_logits=True`.
        block_length: tokens of a row in `fit` and `evaluate`; by default 128, or `max_length` if
            that is less. A token sees those before it in its row. An `AWDLSTMEncoder` with
            `stateful=True` sees all before it; its `state_rows` are the largest `batch_size`.
        name: of the model.
        options: of the layer: `trainable_from`, `max_length`, `weights`, ...

    Material: `fit(texts)` and `evaluate(texts)` take lists of str alone. All of them are joined,
    with the family's sign between two texts, and cut into blocks; `evaluate` gives the loss, the
    accuracy and the perplexity at their tokens. `predict(prompts, max_new_tokens=32)` returns the
    prompts with their continuations; it also takes `temperature`, `top_k`, `top_p`, `seed` and
    `stop`, see `GPT2Decoder.generate`.

    Example:

    ```python
    model = LanguageModel("gpt2", trainable_from=-4)
    model.fit(["Texts of a field.", "Nothing but texts."], epochs=3)
    model.predict(["Once upon a time"], max_new_tokens=20, temperature=0.7, top_k=40, seed=1)
    model.evaluate(["A text that it has not seen."], return_dict=True)["perplexity"]
    ```

    Raises:
        ValueError: a wrong argument, or a source that is no language model.

    References: [GPT-2](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf);
    [ULMFiT](https://arxiv.org/abs/1801.06146).
    """

    def __init__(
        self,
        source: Any,
        *,
        block_length: int | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        decoder = _decoder(source, options)
        longest = min(decoder.max_length or BLOCK_LENGTH, BLOCK_LENGTH)
        block_length = longest if block_length is None else block_length
        if not 1 <= block_length <= decoder.architecture.max_positions:
            raise ValueError(
                "`block_length` must lie between 1 and the positions of layer "
                f"{decoder.name!r}, {decoder.architecture.max_positions}. Received: {block_length}"
            )
        inputs = decoder.symbolic_inputs()
        super().__init__(inputs=inputs, outputs=decoder(inputs), name=name or "language_model")
        self.block_length = block_length

    @property
    def load_report(self) -> LoadReport | None:
        """What loading did with every tensor; None where nothing was loaded."""
        report: LoadReport | None = self.backbone.load_report
        return report

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        texts = self.texts_of(x, y)
        if sample_weight is not None:
            raise ValueError(f"{type(self).__name__} joins its texts: it has no `sample_weight`.")
        rows = token_rows(self.tokenizer, texts)
        return token_blocks(rows, self.backbone, self.block_length, batch_size, training)

    def answers(
        self,
        x: Any,
        batch_size: int = BATCH_SIZE,
        max_new_tokens: int = 32,
        seed: int | None = None,
        verbose: Any = 0,
        **options: Any,
    ) -> list[str]:
        self.check_counts(x)
        prompts, found = self.sides(x), []
        for start in range(0, len(prompts), batch_size):
            found += self.backbone.generate(
                prompts[start : start + batch_size],
                max_new_tokens,
                seed=None if seed is None else seed + start,
                **options,
            )
        return found

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "block_length": self.block_length,
            "name": self.name,
        }


def _decoder(source: Any, options: dict[str, Any]) -> Any:
    """The language model of a task: made from a source, or given."""
    if isinstance(source, GPT2Decoder | AWDLSTMEncoder):
        if options:
            raise ValueError(
                f"Layer {source.name!r} is made already: {', '.join(sorted(options))} belong to "
                "its own constructor."
            )
        if not source.language_model_logits:
            raise ValueError(
                f"The task needs logits of the next token. Layer {source.name!r} gives hidden "
                "states: make it with language_model_logits=True."
            )
        return source
    layer = layer_of(family_of(source)) if isinstance(source, str | os.PathLike) else None
    if layer not in (GPT2Decoder, AWDLSTMEncoder):
        raise ValueError(
            "A language model needs a preset or a path of family gpt2 or ulmfit, a GPT2Decoder or "
            f"an AWDLSTMEncoder. Received: {source!r}"
        )
    return layer(source, language_model_logits=True, **options)
