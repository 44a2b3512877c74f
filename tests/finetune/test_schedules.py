"""The schedules against the formulas of the papers, and in an optimizer that is saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.finetune import CosineWarmup, LinearWarmup, SlantedTriangular

ALL = [
    SlantedTriangular(0.01, 200),
    SlantedTriangular(0.01, 97, cut_frac=0.3, ratio=10),
    LinearWarmup(2e-5, 200, 20),
    LinearWarmup(2e-5, 200, 0, end=1e-6),
    CosineWarmup(2e-5, 200, 20),
]


def rates(schedule: Any, steps: Any) -> np.ndarray:
    found = [keras.ops.convert_to_numpy(schedule(step)) for step in steps]
    return np.array(found)


def ulmfit(t: int, total: int, cut_frac: float, ratio: float, peak: float) -> float:
    """Equation 3 of Howard and Ruder (2018), literally."""
    cut = math.floor(total * cut_frac)
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
    return peak * (1 + p * (ratio - 1)) / ratio


@pytest.mark.parametrize(
    ("total", "cut_frac", "ratio"), [(100, 0.1, 32), (1000, 0.1, 32), (60, 0.25, 10)]
)
def test_slanted_triangular_is_the_formula_of_the_paper(
    total: int, cut_frac: float, ratio: float
) -> None:
    schedule = SlantedTriangular(0.01, total, cut_frac, ratio)
    expected = [ulmfit(t, total, cut_frac, ratio, 0.01) for t in range(total + 1)]
    np.testing.assert_allclose(rates(schedule, range(total + 1)), expected, rtol=2e-6)


def test_slanted_triangular_at_its_corners() -> None:
    schedule = SlantedTriangular(0.01, 1000)
    found = rates(schedule, [0, 100, 1000, 5000])
    np.testing.assert_allclose(found, [0.01 / 32, 0.01, 0.01 / 32, 0.01 / 32], rtol=1e-6)
    # 105 steps: the fall of the paper's formula ends before them, and would go below zero.
    late = rates(SlantedTriangular(0.01, 105, ratio=1e6), range(100, 106))
    assert (late > 0).all()


def test_linear_warmup_rises_and_falls_on_straight_lines() -> None:
    found = rates(LinearWarmup(2e-5, 200, 20), [0, 5, 10, 20, 110, 200, 300])
    np.testing.assert_allclose(found, [0, 0.5e-5, 1e-5, 2e-5, 1e-5, 0, 0], rtol=1e-6, atol=1e-12)
    end = rates(LinearWarmup(2e-5, 200, 0, end=1e-6), [0, 100, 200, 300])
    np.testing.assert_allclose(end, [2e-5, 1.05e-5, 1e-6, 1e-6], rtol=1e-6)


def test_cosine_warmup_is_that_of_keras() -> None:
    ours = CosineWarmup(2e-5, 200, 20)
    theirs = keras.optimizers.schedules.CosineDecay(0.0, 180, warmup_target=2e-5, warmup_steps=20)
    steps = [0, 7, 20, 65, 110, 199, 200, 300]
    np.testing.assert_allclose(rates(ours, steps), rates(theirs, steps), rtol=1e-5, atol=1e-11)


@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: type(schedule).__name__)
def test_it_survives_in_a_saved_optimizer(schedule: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse", jit_compile=False)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert type(again._learning_rate) is type(schedule)
    assert again._learning_rate.get_config() == schedule.get_config()
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(again.learning_rate), rates(schedule, [2])[0]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SlantedTriangular(0.01, 5), "at least 10 steps"),
        (lambda: SlantedTriangular(0.01, 50, cut_frac=1.5), "cut_frac"),
        (lambda: SlantedTriangular(0.01, 50, ratio=0.5), "ratio"),
        (lambda: SlantedTriangular(-1, 50), "peak"),
        (lambda: LinearWarmup(0.1, 0, 0), "total_steps"),
        (lambda: LinearWarmup(0.1, 10, 10), "warmup_steps"),
        (lambda: CosineWarmup(0.1, 10, 2, end=0.2), "end"),
    ],
)
def test_a_wrong_value_is_an_error(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
