"""How the learning rate moves during one fine-tuning: up for a while, then down."""

from __future__ import annotations

import math
from typing import Any

import keras


class _Ramps(keras.optimizers.schedules.LearningRateSchedule):
    """What the schedules share: a peak, and a last step behind which the rate stays."""

    def __init__(self, peak: float, total_steps: int) -> None:
        super().__init__()
        if not 0 < peak < math.inf:
            raise ValueError(f"`peak` must be a positive number. Received: {peak!r}")
        if total_steps < 1:
            raise ValueError(f"`total_steps` must be at least 1. Received: {total_steps!r}")
        self.peak = float(peak)
        self.total_steps = int(total_steps)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class SlantedTriangular(_Ramps):
    """A short linear rise and a long linear fall: the slanted triangular rates of ULMFiT.

    With `cut = floor(total_steps * cut_frac)` and step `t` counted from 0:

    ```text
    p    = t / cut                                         while t < cut
    p    = 1 - (t - cut) / (cut * (1 / cut_frac - 1))      afterwards, not below 0
    rate = peak * (1 + p * (ratio - 1)) / ratio
    ```

    Reference: [Universal Language Model Fine-tuning for Text Classification](
    https://arxiv.org/abs/1801.06146), equation 3, whose rates are the defaults here.

    Args:
        peak: the largest rate; the paper has 0.004 for the language model and 0.01 for the
            classifier.
        total_steps: number of updates: epochs times steps an epoch.
        cut_frac: the share of steps in which the rate rises.
        ratio: how much smaller the smallest rate is than the largest.

    Raises:
        ValueError: a value out of range, or so few steps that not one would rise.

    Example:

    ```python
    optimizer = keras.optimizers.Adam(SlantedTriangular(0.01, total_steps=600), beta_1=0.7)
    ```
    """

    def __init__(
        self, peak: float, total_steps: int, cut_frac: float = 0.1, ratio: float = 32
    ) -> None:
        super().__init__(peak, total_steps)
        if not 0 < cut_frac < 1:
            raise ValueError(f"`cut_frac` must lie between 0 and 1. Received: {cut_frac!r}")
        if ratio < 1:
            raise ValueError(f"`ratio` must be at least 1. Received: {ratio!r}")
        self.cut_frac = float(cut_frac)
        self.ratio = float(ratio)
        # 0.1 * 30 is 3.0000000000000004 and 0.07 * 100 is 7.000000000000001, but 0.29 * 100 is
        # 28.999999999999996: what is whole but for rounding is whole.
        self._cut = math.floor(total_steps * cut_frac + 1e-9)
        if self._cut < 1:
            raise ValueError(
                f"Of total_steps={total_steps} a share of cut_frac={cut_frac} is less than one "
                f"step. Expected at least {math.ceil(1 / cut_frac)} steps, or a larger cut_frac."
            )

    def __call__(self, step: Any) -> Any:
        ops = keras.ops
        step = ops.cast(step, "float32")
        fall = self._cut * (1 / self.cut_frac - 1)
        rising, falling = step / self._cut, 1 - (step - self._cut) / fall
        share = ops.maximum(ops.where(step < self._cut, rising, falling), 0.0)
        return self.peak * (1 + share * (self.ratio - 1)) / self.ratio

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cut_frac": self.cut_frac, "ratio": self.ratio}


class _Warmup(_Ramps):
    """A linear rise from 0 in the first steps, and a fall that a subclass shapes."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int, end: float = 0.0) -> None:
        super().__init__(peak, total_steps)
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"`warmup_steps` must lie between 0 and total_steps={total_steps}. "
                f"Received: {warmup_steps!r}"
            )
        if not 0 <= end <= peak:
            raise ValueError(f"`end` must lie between 0 and peak={peak}. Received: {end!r}")
        self.warmup_steps = int(warmup_steps)
        self.end = float(end)

    def __call__(self, step: Any) -> Any:
        ops = keras.ops
        step = ops.cast(step, "float32")
        rising = self.peak * step / max(self.warmup_steps, 1)
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        share = self._remaining(ops.minimum(done, 1.0))
        falling = self.end + (self.peak - self.end) * share
        return ops.where(step < self.warmup_steps, rising, falling)

    def _remaining(self, done: Any) -> Any:
        """From 1 to 0 while `done`, the share of the fall that lies behind, goes from 0 to 1."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "warmup_steps": self.warmup_steps, "end": self.end}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class LinearWarmup(_Warmup):
    """A linear rise from 0, then a linear fall: the rates that BERT is fine-tuned with.

    `peak * t / warmup_steps`, then `peak * (total_steps - t) / (total_steps - warmup_steps)`, with
    the step `t` counted from 0. (Google's program computes the fall over all steps, so that its
    rate jumps down by the share of the warm-up where that ends.)

    Reference: [BERT](https://arxiv.org/abs/1810.04805), appendix A.2.

    Args:
        peak: the largest rate; the paper fine-tunes with 5e-5, 3e-5 or 2e-5.
        total_steps: number of updates: epochs times steps an epoch.
        warmup_steps: number of updates in which the rate rises; a tenth is usual.
        end: the rate after the last step.

    Example:

    ```python
    optimizer = keras.optimizers.AdamW(LinearWarmup(2e-5, total_steps=600, warmup_steps=60))
    ```
    """

    def _remaining(self, done: Any) -> Any:
        return 1 - done


@keras.saving.register_keras_serializable(package="keras_pretrained")
class CosineWarmup(_Warmup):
    """A linear rise from 0, then half a cosine down, as GPT was trained.

    `peak * t / warmup_steps`, then `peak * (1 + cos(pi * s)) / 2`, where `s` goes from 0 to 1 over
    the steps behind the warm-up.

    Reference: "Improving Language Understanding by Generative Pre-Training", section 4.1.

    Args:
        peak, total_steps, warmup_steps, end: as in `LinearWarmup`.

    Example:

    ```python
    optimizer = keras.optimizers.AdamW(CosineWarmup(6.25e-5, total_steps=600, warmup_steps=2))
    ```
    """

    def _remaining(self, done: Any) -> Any:
        return (1 + keras.ops.cos(math.pi * done)) / 2
