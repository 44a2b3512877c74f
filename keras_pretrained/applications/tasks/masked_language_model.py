"""`MaskedLanguageModel`: texts with gaps -> the words that stand there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.gaps import rows_with_gaps
from keras_pretrained.applications.tasks.language_task import LanguageTask
from keras_pretrained.applications.tasks.masking import MaskedBatches, Masking
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import row_batches
from keras_pretrained.layers.transformers.masked_lm_head import masked_lm_head
from keras_pretrained.layers.transformers.transformer_encoder import TransformerEncoder

Candidates = list[tuple[str, float]]


@keras.saving.register_keras_serializable(package="keras_pretrained")
class MaskedLanguageModel(LanguageTask):
    """Texts with gaps in; the words that may stand there, with their probabilities, out.

    A functional model on token ids: the pretrained encoder and the original head of masked
    language models, with the encoder's own token table. The head is the checkpoint's where that
    holds one, otherwise a new one; `load_report` says which. It gives logits (texts, length,
    vocabulary).

    Trained on texts of a field, it adapts the encoder to that field before a task is learned:
    `model.backbone.with_options(pooling=...)` goes into a `TextClassifier`, and
    `model.backbone.save_weights_as(path)` writes it in its original format.

    Args:
        source: a preset name, a path, or a text layer of BERT's kind without `pooling`.
        mask_rate: the share of tokens that are to be guessed. Of these, 80 % are shown as the mask,
            10 % as another token and 10 % as they are; in each epoch they are others.
        whole_words: whether all tokens of a word are masked together.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ...

    Attributes:
        load_report: what loading did with every tensor of encoder and head; None where nothing
            was loaded.

    Material: `fit(texts)` and `evaluate(texts)` take lists of str alone; `evaluate` gives the loss,
    the accuracy and the perplexity at tokens that are masked for it, always the same ones.
    `predict(texts)` takes texts that hold `mask_token`, and returns for each text a list of
    its gaps, for each gap the `top` most likely tokens as (token, probability). `fill(texts)`
    returns the texts with the likeliest.

    Example:

    ```python
    model = MaskedLanguageModel("bert-base", trainable_from=6)
    model.predict(["The capital of France is [MASK]."], top=3)
    model.fit(["Texts of a field.", "Nothing but texts."], epochs=3)
    model.save("model.keras")
    ```

    Raises:
        ValueError: a wrong argument, a source that is no encoder of this kind, or a text without
            a gap where one is expected.

    References: [BERT](https://arxiv.org/abs/1810.04805), section 3.1;
    [Don't Stop Pretraining](https://arxiv.org/abs/2004.10964).
    """

    def __init__(
        self,
        source: Any,
        *,
        mask_rate: float = 0.15,
        whole_words: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> None:
        encoder = text_encoder(source, None, options)
        if not isinstance(encoder, TransformerEncoder) or not encoder.masked_lm_maps:
            raise ValueError(
                "A masked language model needs an encoder of BERT's kind: BERT, RoBERTa, "
                f"DistilBERT, ALBERT or ELECTRA. Received: {type(encoder).__name__}"
            )
        if encoder.hidden_layers != -1:
            raise ValueError(
                "The head reads the last hidden state: hidden_layers=-1. Received: layer "
                f"{encoder.name!r} with hidden_layers={encoder.hidden_layers!r}"
            )
        Masking(None, mask_rate, whole_words)
        head, report = masked_lm_head(encoder)
        inputs = encoder.symbolic_inputs()
        super().__init__(
            inputs=inputs, outputs=head(encoder(inputs)), name=name or "masked_language_model"
        )
        self.load_report = report
        self._mask_rate = mask_rate
        self._whole_words = whole_words

    @property
    def mask_token(self) -> str:
        """What stands for a gap in a text, such as `"[MASK]"`."""
        return str(self.tokenizer.id_to_token(self.tokenizer.mask_id))

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> MaskedBatches:
        texts = self.texts_of(x, y)
        self.check_counts(x, weights=sample_weight)
        arrays = self.arrays_of(texts)
        masking = Masking(self.tokenizer, self._mask_rate, self._whole_words)
        token_ids = arrays["token_ids"]
        weights = masking.maskable(token_ids, arrays["padding_mask"]).astype("float32")
        if sample_weight is not None:
            weights *= np.asarray(sample_weight, "float32")[:, None]
        batches = row_batches(arrays, token_ids, weights, batch_size, training, per_token=True)
        return MaskedBatches(batches, masking, renew=training)

    def answers(
        self, x: Any, batch_size: int = BATCH_SIZE, top: int = 5, **kwargs: Any
    ) -> list[list[Candidates]]:
        self.check_counts(x)
        kwargs.setdefault("verbose", 0)
        arrays = self.inputs_of(rows_with_gaps(self.tokenizer, self.sides(x)))
        mask_id = self.tokenizer.mask_id
        found: list[list[Candidates]] = [[] for _ in range(self.count(x))]
        batches = row_batches(
            arrays, np.arange(len(found)), None, batch_size, training=False, fill=True
        )
        # The logits of all texts at once would fill the memory.
        for inputs, rows, weights in map(batches.__getitem__, range(len(batches))):
            logits = self.predict(inputs, batch_size=len(rows), **kwargs)
            for place, row in enumerate(rows[weights > 0]):
                gaps = logits[place][inputs["token_ids"][place] == mask_id]
                found[row] = [self._likeliest(each, top) for each in gaps]
        return found

    def fill(self, texts: Sequence[str], batch_size: int = BATCH_SIZE) -> list[str]:
        """The texts with the most likely token in each gap."""
        filled = []
        for text, gaps in zip(texts, self.answers(list(texts), batch_size, top=1), strict=True):
            made, *others = text.split(self.mask_token)
            for ((token, _),), behind in zip(gaps, others, strict=True):
                # A piece of WordPiece's that goes on with the word before it.
                made = made.rstrip() if token.startswith("##") else made
                made += token.removeprefix("##") + behind
            filled.append(made)
        return filled

    def _likeliest(self, logits: np.ndarray, top: int) -> Candidates:
        shares = np.exp(logits.astype("float64") - logits.max())
        shares /= shares.sum()
        # Rows of the table without a token, which some checkpoints have, stand behind the others.
        size = self.tokenizer.vocabulary_size
        order = np.argsort(-shares[:size], kind="stable")[:top]
        decode = self.tokenizer.decode
        return [(decode([number]).strip(), float(shares[number])) for number in order]

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "mask_rate": self._mask_rate,
            "whole_words": self._whole_words,
            "name": self.name,
        }
