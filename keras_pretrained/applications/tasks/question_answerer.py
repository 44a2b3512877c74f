"""`QuestionAnswerer`: a question and a text -> the part of the text that answers it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.answering import (
    Candidates,
    Windowing,
    answer_rows,
)
from keras_pretrained.applications.tasks.published_head import published_head
from keras_pretrained.applications.tasks.span_head import SpanHead
from keras_pretrained.applications.tasks.squad import Answer, QuestionExample, example_of
from keras_pretrained.applications.tasks.squad_score import SquadScore, squad_score
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import of_several_texts, row_batches
from keras_pretrained.applications.tasks.window_task import WindowTask

N_BEST = 20
_HEADS = (
    ("qa_outputs.weight", "qa_outputs.bias"),
    ("cls/squad/output_weights", "cls/squad/output_bias"),
)


@keras.saving.register_keras_serializable(package="keras_pretrained")
class QuestionAnswerer(WindowTask):
    """A question and a context in, the answer out: a part of the context, as in SQuAD.

    A functional model on token ids: the pretrained encoder on question and context, and a dense
    layer. Its output are logits (batch, 2, length): where the answer begins, and where it ends. A
    context that is longer than a row is read in windows that overlap, and the best answer of all
    of them counts. The first token of a row stands for "no answer".

    Args:
        source: a preset name, a path, or a text layer without `pooling`.
        no_answer: whether a context may lack the answer (SQuAD 2.0).
        null_threshold: how much more than the best answer "no answer" must score; may be set later.
        max_length: tokens of a row; the encoder's own `max_length` where that is shorter.
        stride: tokens from the begin of a window to that of the next.
        question_length: tokens at which a question is cut.
        answer_length: tokens of the longest answer.
        head: `"auto"` takes the head of a checkpoint that was fine-tuned to answer questions
            (Hugging Face's `ForQuestionAnswering`, Google's `run_squad.py`); None for a new one.
        name: of the model.
        options: of the encoder: `trainable_from`, `weights`, ...

    Material: `fit(examples)` with `QuestionExample`s, as `read_squad` gives them, or dictionaries
    with `question`, `context` and `answers` (`{"text", "answer_start"}` each); or
    `fit(pairs, answers)` with tuples (question, context) and one str each, which is looked up in
    its context (`""` for none). `predict` returns one str each, `""` for none; `predict_spans` the
    best answers with their characters and probabilities; `score(examples)` exact match and F1.

    Example:

    ```python
    answerer = QuestionAnswerer("minilm-l6")
    answerer.fit(read_squad("train-v1.1.json"), epochs=2)
    answerer.answer("Who wrote it?", "It was written by Ada Lovelace in 1843.").text
    ```

    Raises:
        ValueError: a wrong argument, or answers that do not stand in their contexts.

    References: [BERT](https://arxiv.org/abs/1810.04805), sections 4.2 and 4.3;
    [SQuAD](https://arxiv.org/abs/1606.05250), [SQuAD 2.0](https://arxiv.org/abs/1806.03822).
    """

    def __init__(
        self,
        source: Any,
        *,
        no_answer: bool = False,
        null_threshold: float = 0.0,
        max_length: int = 384,
        stride: int = 128,
        question_length: int = 64,
        answer_length: int = 30,
        head: str | None = "auto",
        name: str | None = None,
        **options: Any,
    ) -> None:
        if head not in ("auto", None):
            raise ValueError(f"`head` must be 'auto' or None. Received: {head!r}")
        sizes = {
            "stride": stride,
            "question_length": question_length,
            "answer_length": answer_length,
        }
        for key, size in sizes.items():
            if size < 1:
                raise ValueError(f"`{key}` must be 1 or more. Received: {size}")
        encoder = text_encoder(source, None, options)
        published = head and published_head(source, options, _HEADS, "QuestionAnswering")
        inputs = encoder.symbolic_inputs()
        spans = SpanHead(name="spans")
        outputs = spans(encoder(inputs), inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=outputs, name=name or "question_answerer")
        if published:
            spans.dense.set_weights([published.kernel, published.bias])
        self.no_answer = no_answer
        self.null_threshold = null_threshold
        self.windowing = Windowing(max_length, stride, question_length)
        self.answer_length = answer_length

    @property
    def text_names(self) -> tuple[str, ...]:
        """What an exported model calls its texts."""
        return ("question", "context")

    def default_loss(self) -> Any:
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def default_metrics(self) -> list[Any]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    # --- material -------------------------------------------------------------------------------

    def is_material(self, x: Any) -> bool:
        kinds = (QuestionExample, dict, tuple)
        return isinstance(x, list) and (
            not x or isinstance(x[0], kinds) or (isinstance(x[0], list) and of_several_texts(x))
        )

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        examples = self.examples(x, y)
        self.check_counts(examples, weights=sample_weight)
        rows = answer_rows(self.tokenizer, examples, self.windowing)
        targets = rows.targets([self._right(example) for example in examples])
        weights = np.ones(len(examples)) if sample_weight is None else np.asarray(sample_weight)
        # One for the begin, and one for the end.
        by_row = np.repeat(weights[rows.examples][:, None], 2, axis=1)
        return row_batches(self.inputs_of(rows.arrays), targets, by_row, batch_size, training)

    def examples(self, x: Sequence[Any], y: Sequence[str] | None = None) -> list[QuestionExample]:
        """Material as examples.

        Args:
            y: an answer for each, `""` for none; or None where the examples have their own.

        Raises:
            ValueError: something else, or an answer that its context lacks.
        """
        found = [example_of(item, f"Example {number}") for number, item in enumerate(x)]
        if y is None:
            return found
        if len(y) != len(found):
            raise ValueError(f"Received {len(found)} questions and {len(y)} answers.")
        return [
            dataclasses.replace(example, answers=_found(text, example, number))
            for number, (text, example) in enumerate(zip(y, found, strict=True))
        ]

    def _right(self, example: QuestionExample) -> Answer | None:
        """The answer to train on."""
        name = example.id or example.question
        if example.answers is None:
            raise ValueError(f"Question {name!r} has no answers. Pass them, or `answers=()`.")
        if not example.answers and not self.no_answer:
            raise ValueError(
                f"Question {name!r} has no answer in its context. A task on such questions is made "
                "with `no_answer=True`."
            )
        return example.answers[0] if example.answers else None

    # --- answers --------------------------------------------------------------------------------

    def answer(self, question: str, context: str) -> Answer:
        """The best answer to one question."""
        return self.predict_spans([(question, context)])[0][0]

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[str]:
        return [best[0].text for best in self.predict_spans(x, batch_size, **kwargs)]

    def predict_spans(
        self, x: Any, batch_size: int = BATCH_SIZE, n_best: int = 1, **kwargs: Any
    ) -> list[list[Answer]]:
        """The best answers to each question, best first; with `no_answer`, none is one of them.

        Args:
            x: as for `predict`.
            n_best: the most answers to a question, up to 20.
            kwargs: of `keras.Model.predict`.
        """
        examples = self.examples(x)
        rows = answer_rows(self.tokenizer, examples, self.windowing)
        found = [Candidates(N_BEST, self.answer_length) for _ in examples]
        for places, logits in self.row_outputs(self.inputs_of(rows.arrays), batch_size, **kwargs):
            for place, row in zip(places, logits, strict=True):
                found[rows.examples[place]].add(row, rows.tokens[place, : row.shape[-1]])
        threshold = self.null_threshold if self.no_answer else None
        return [
            candidates.answers(example.context, pieces, threshold)[:n_best]
            for candidates, example, pieces in zip(found, examples, rows.contexts, strict=True)
        ]

    def outputs_of(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> Any:
        raise NotImplementedError("The outputs are those of windows. Use `predict_spans`.")

    def score(self, x: Any, batch_size: int = BATCH_SIZE, version: str = "auto") -> SquadScore:
        """Exact match and F1 of the answers, by `squad_score`.

        Args:
            x: examples with answers.
            version: see `squad_score`.
        """
        examples = self.examples(x)
        return squad_score(self.answers(examples, batch_size), examples, version)

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "no_answer": self.no_answer,
            "null_threshold": self.null_threshold,
            **dataclasses.asdict(self.windowing),
            "answer_length": self.answer_length,
            "name": self.name,
        }


def _found(text: str, example: QuestionExample, number: int) -> tuple[Answer, ...]:
    """The place of an answer's text in its context: the first one."""
    if not text:
        return ()
    start = example.context.find(text)
    if start < 0:
        raise ValueError(
            f"Example {number}: the context lacks the answer {text!r}. Expected its exact text, or "
            "'' for no answer."
        )
    return (Answer(text, start),)
