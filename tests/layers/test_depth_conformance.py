"""The depth table, row by row, over architectures of all kinds; it holds on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from tests.layers.toys import CASES, Case

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
kinds = pytest.mark.parametrize(
    "case",
    [pytest.param(each, marks=pytest.mark.exhaustive if each.like else ()) for each in CASES],
    ids=lambda case: case.name,
)

# Tracing takes seconds a model on TensorFlow, and compilation by XLA more: only tests that are
# about it turn it on. On JAX a step that is not compiled is the slow one.
QUICK = {"jit_compile": False, "run_eagerly": keras.backend.backend() == "tensorflow"}


def depths(case: Case) -> dict[Any, int]:
    """Every valid `trainable_from` -> index of the first stage that trains."""
    n = len(case.blocks)
    first_block = case.stages.index(case.blocks[0])
    expected: dict[Any, int] = {None: len(case.stages), "stem": 0}
    expected.update({name: index for index, name in enumerate(case.stages)})
    expected.update({-m: first_block + n - m for m in range(1, n + 1)})
    expected.update({k: first_block + k for k in range(1, n)})
    expected.update({n: len(case.stages), 0: 0})
    return expected


def snapshot(layer: Any) -> dict[str, np.ndarray]:
    return {w.path: keras.ops.convert_to_numpy(w).copy() for w in layer.weights}


def stage_paths(layer: Any) -> list[set[str]]:
    """The variables of each stage; a shared one counts for its earliest stage only."""
    found, seen = [], set()
    for stage in layer.stages:
        paths = {w.path for part in stage.layers for w in part.weights} - seen
        seen |= paths
        found.append(paths)
    return found


def moving(path: str) -> bool:
    return path.endswith(("moving_mean", "moving_variance"))


def without_gradient(path: str) -> bool:
    """A key bias is added to all scores alike; a bias before a batch norm is subtracted."""
    return path.endswith(("key/bias", "left/bias", "right/bias")) or (
        "/conv_" in path and path.endswith("bias")
    )


def in_use(layer: Any, index: int, case: Case) -> bool:
    """Whether a stage takes part: a head that no output depends on does not."""
    stage = layer.stages[index]
    return not stage.head or layer._heads_in_use or stage.name in case.heads_in_use


def compiled(layer: Any, case: Case, **kwargs: Any) -> keras.Model:
    inputs = layer.symbolic_inputs()
    x = layer(inputs)
    x = keras.layers.Flatten()(keras.layers.Dense(2, name="task")(keras.ops.mean(x, axis=1)))
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(x) if case.images else x[:, :1])
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.1)
    model.compile(optimizer, "mse", **(kwargs or QUICK))
    return model


def bare(layer: Any) -> keras.Model:
    """The layer as a model."""
    model = keras.Model(inputs := layer.symbolic_inputs(), layer(inputs))
    model.compile(**QUICK)
    return model


def batch(case: Case, model: keras.Model) -> tuple[Any, np.ndarray]:
    x = case.inputs()
    names = list(model.input) if isinstance(model.input, dict) else None
    if names:
        values = {"token_ids": x, "padding_mask": np.ones_like(x)}
        x = {name: values.get(name, np.zeros_like(x)) for name in names}
    return x, np.random.default_rng(1).normal(size=(4, 1)).astype("float32")


@cases
def test_stages_are_declared_in_order(case: Case) -> None:
    assert tuple(stage.name for stage in case.make().stages) == case.stages


@cases
def test_every_value_freezes_what_the_table_says(case: Case) -> None:
    layer = case.make()
    for value, first in depths(case).items():
        layer.trainable_from = value
        trainable = {v.path for v in layer.trainable_variables}
        for index, paths in enumerate(stage_paths(layer)):
            expected = {
                path
                for path in paths
                if index >= first and in_use(layer, index, case) and not moving(path)
            }
            assert trainable & paths == expected, (value, case.stages[index])
        assert case.make(trainable_from=value)._first_trainable == first


@cases
@pytest.mark.parametrize("value", [99, -99, "layer_99", 1.5, True, [1]])
def test_a_wrong_value_is_an_error_that_lists_the_valid_ones(case: Case, value: Any) -> None:
    layer = case.make(trainable_from=0)
    with pytest.raises(ValueError, match=case.stages[-1]):
        layer.trainable_from = value
    assert layer.trainable_from == 0


@cases
def test_fit_leaves_everything_below_k_bit_identical(case: Case) -> None:
    check_fit(case, "middle", **({} if case.like else {"jit_compile": True}))


@kinds
@pytest.mark.parametrize("position", ["first", "all"])
def test_fit_leaves_what_is_frozen_bit_identical_at_the_ends(case: Case, position: str) -> None:
    check_fit(case, position)


def check_fit(case: Case, position: str, **options: Any) -> None:
    first = {"first": 1, "middle": len(case.stages) // 2}
    value = case.stages[first[position]] if position != "all" else None
    layer = case.make(trainable_from=value)
    model = compiled(layer, case, **options)
    before = snapshot(layer)
    x, y = batch(case, model)
    model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    after = snapshot(layer)
    boundary = layer._first_trainable
    for index, paths in enumerate(stage_paths(layer)):
        for path in paths:
            same = np.array_equal(before[path], after[path])
            if index < boundary or not in_use(layer, index, case):
                assert same, path
            elif not without_gradient(path):
                assert not same, path


@cases
def test_trainable_from_outside_reapplies_the_depth(case: Case) -> None:
    layer = case.make(trainable_from=case.stages[1])
    expected = {v.path for v in layer.trainable_variables}
    model = compiled(layer, case)
    model.trainable = False
    assert not layer.trainable_variables
    model.trainable = True
    assert {v.path for v in layer.trainable_variables} == expected


@kinds
def test_a_depth_changed_after_compile_must_be_compiled_again(case: Case) -> None:
    layer = case.make(trainable_from=None)
    model = compiled(layer, case)
    x, y = batch(case, model)
    model.fit(x, y, verbose=0)
    layer.trainable_from = None
    model.fit(x, y, verbose=0)  # nothing changed, so nothing to compile
    layer.trainable_from = 0
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.train_on_batch(x, y)
    model.compile("sgd", "mse", **QUICK)
    before = snapshot(layer)
    model.fit(x, y, verbose=0)
    stem = stage_paths(layer)[0]
    after = snapshot(layer)
    assert any(not np.array_equal(before[path], after[path]) for path in stem)


@cases
def test_a_stateless_call_leaves_no_call_context_behind(case: Case) -> None:
    layer = case.make()
    values = [
        [v.value for v in group]
        for group in (layer.trainable_variables, layer.non_trainable_variables)
    ]
    layer.stateless_call(*values, keras.ops.convert_to_tensor(case.inputs()))
    assert global_state.get_global_attribute("current_call_ctx") is None


@kinds
def test_a_nested_model_is_guarded_too(case: Case) -> None:
    layer = case.make(trainable_from=None)
    inner = compiled(layer, case)
    inputs = layer.symbolic_inputs()
    outer = keras.Model(inputs, keras.layers.Dense(1)(inner(inputs)))
    outer.compile("sgd", "mse", **QUICK)
    x, y = batch(case, outer)
    outer.fit(x, y, verbose=0)
    layer.trainable_from = 0
    with pytest.raises(ValueError, match=r"compile\(\)"):
        outer.fit(x, y, verbose=0)


@kinds
def test_prefix_and_suffix_equal_the_whole(case: Case) -> None:
    layer = case.make()
    whole = bare(layer)
    x, _ = batch(case, whole)
    expected = whole.predict(x, verbose=0)
    for value in (0, *case.stages, None):
        layer.trainable_from = value
        prefix, suffix = layer.split()
        prefix.compile(**QUICK)
        suffix.compile(**QUICK)
        state = prefix.predict(x, verbose=0)
        np.testing.assert_allclose(suffix.predict(state, verbose=0), expected, atol=1e-6)
        assert not prefix.trainable_variables
        assert {v.path for v in suffix.trainable_variables} == {
            v.path for v in layer.trainable_variables
        }


@kinds
def test_the_suffix_trains_the_layer(case: Case) -> None:
    layer = case.make(trainable_from=case.stages[-1] if case.name != "bert" else "layer_2")
    if not layer.trainable_variables:
        layer.trainable_from = case.blocks[-1]
    prefix, suffix = layer.split()
    prefix.compile(**QUICK)
    whole = bare(layer)
    x, _ = batch(case, whole)
    state = prefix.predict(x, verbose=0)
    before = whole.predict(x, verbose=0)
    suffix.compile(keras.optimizers.SGD(0.1), "mse", **QUICK)
    suffix.fit(state, np.ones_like(before), verbose=0)
    after = whole.predict(x, verbose=0)
    assert np.abs(after - before).max() > 1e-6
    np.testing.assert_allclose(suffix.predict(state, verbose=0), after, atol=1e-6)


@cases
def test_frozen_dropout_and_statistics_are_off(case: Case) -> None:
    layer = case.make(trainable_from=None)
    x = case.inputs()
    quiet = keras.ops.convert_to_numpy(layer(x, training=False))
    before = snapshot(layer)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x, training=True)), quiet)
    for path, value in snapshot(layer).items():
        np.testing.assert_array_equal(value, before[path])


@kinds
def test_config_round_trip_keeps_depth_and_weights(case: Case, tmp_path: Any) -> None:
    layer = case.make(trainable_from=case.stages[1])
    model = compiled(layer, case)
    x, _ = batch(case, model)
    model.fit(*batch(case, model), verbose=0)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(reloaded.predict(x, verbose=0), expected)
    assert len(reloaded.trainable_variables) == len(model.trainable_variables)
    copy = next(part for part in reloaded.layers if type(part) is type(layer))
    assert copy.trainable_from == layer.trainable_from
