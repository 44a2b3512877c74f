"""`ElmoEmbedding`: the contract of a text layer, its mixes, its states, its inputs, its exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.layers import ElmoEmbedding
from keras_pretrained.layers.recurrent.elmo_source import ElmoArchitecture
from keras_pretrained.presets import SourceError
from keras_pretrained.weights import WeightsError
from tests.layers.elmo_models import BATCH, GOLDEN, WIDTH, elmo, golden
from tests.layers.layer_test import run_layer_test, to_numpy
from tests.layers.test_elmo_parity import ids_of

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
SIZES = ElmoArchitecture(
    filters=[(1, 4), (3, 5)], units=7, projection_size=3, num_highways=1, num_layers=1
)
STAGES = ["stem", "layer_0", "layer_1"]


def inputs() -> dict[str, np.ndarray]:
    ids = ids_of(BATCH)
    return {"character_ids": ids, "padding_mask": (ids > 0).any(-1).astype("int32")}


def objects(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


SENTENCES = [" ".join(words) for words in BATCH]


def test_layer(tmp_path: Path) -> None:
    def make(**kwargs: Any) -> ElmoEmbedding:
        keras.utils.set_random_seed(4)
        return ElmoEmbedding(architecture=SIZES, mix_layer_norm=True, trainable_from=0, **kwargs)

    run_layer_test(make, inputs(), (None, None, 6), tmp_path)


def test_hidden_layers_and_pooling() -> None:
    given = inputs()
    mask = given["padding_mask"].astype(bool)
    states = to_numpy(elmo().features(given)["hidden_states"])
    assert [state.shape for state in states] == [(4, 5, WIDTH)] * 3
    np.testing.assert_array_equal(states[0][..., :6], states[0][..., 6:])
    choices = {0: states[0], -1: states[2], "all": np.concatenate(states, -1)}
    for choice, wanted in choices.items():
        found = to_numpy(elmo(hidden_layers=choice)(given))
        np.testing.assert_allclose(found[mask], wanted[mask], atol=1e-6)
    mixed = to_numpy(elmo()(given))
    np.testing.assert_allclose(mixed[mask], np.mean(states, 0)[mask], atol=1e-6)
    pooled = to_numpy(elmo(pooling="mean")(given))
    wanted = np.stack([row[real].mean(0) for row, real in zip(mixed, mask, strict=True)])
    np.testing.assert_allclose(pooled, wanted, atol=1e-6)
    last = to_numpy(elmo(pooling="last")(given))
    np.testing.assert_allclose(last[0], mixed[0, 4], atol=1e-6)
    np.testing.assert_allclose(last[1], mixed[1, 0], atol=1e-6)


def test_padding_and_company_do_not_change_a_sentence() -> None:
    given, layer = inputs(), elmo()
    found = to_numpy(layer(given))
    for row, words in enumerate(BATCH):
        alone = to_numpy(layer(given["character_ids"][row : row + 1, : len(words)]))
        np.testing.assert_allclose(found[row, : len(words)], alone[0], atol=1e-6)
    left = {name: np.flip(np.flip(values, 1)[:, :], 1) for name, values in given.items()}
    left["character_ids"] = np.roll(given["character_ids"], 2, axis=1)
    left["padding_mask"] = np.roll(given["padding_mask"], 2, axis=1)
    moved = to_numpy(layer(left))
    np.testing.assert_allclose(moved[1, 2], found[1, 0], atol=1e-6)


def test_a_mask_hides_words() -> None:
    given, layer = inputs(), elmo(hidden_layers=2)
    short = to_numpy(layer(given["character_ids"][:, :2]))
    given["padding_mask"][:, 2:] = 0
    hidden = to_numpy(layer(given))
    np.testing.assert_allclose(hidden[0, :2], short[0], atol=1e-6)


def test_the_output_carries_its_mask() -> None:
    given = inputs()
    for mixes in (1, 2):
        layer = elmo(mixes=mixes)
        symbolic = layer.symbolic_inputs()
        outputs = keras.tree.flatten(layer(symbolic))
        averages = [keras.layers.GlobalAveragePooling1D()(output) for output in outputs]
        model = keras.Model(symbolic, averages)
        wanted = to_numpy(elmo(pooling="mean")(given))
        for found in model.predict(given, verbose=0):
            np.testing.assert_allclose(found, wanted if mixes > 1 else wanted[0], atol=1e-6)
            if mixes == 1:
                break


def test_several_mixes_of_one_run() -> None:
    """At the input and at the output of a task's own network, each with weights of its own."""
    layer, given = elmo(mixes=2, mix_l2=0.5), inputs()
    states = to_numpy(elmo().features(given)["hidden_states"])
    layer.mixes[0].set_weights([np.array([9.0, 0.0, 0.0]), np.array(2.0)])
    layer.mixes[1].set_weights([np.array([0.0, 0.0, 9.0]), np.array(1.0)])
    first, second = to_numpy(layer(given))
    mask = given["padding_mask"].astype(bool)
    shares = np.exp([9.0, 0.0, 0.0]) / np.exp([9.0, 0.0, 0.0]).sum()
    wanted = 2 * np.tensordot(shares, np.stack(states), 1)
    np.testing.assert_allclose(first[mask], wanted[mask], atol=1e-5)
    wanted = np.tensordot(shares[::-1], np.stack(states), 1)
    np.testing.assert_allclose(second[mask], wanted[mask], atol=1e-5)
    assert to_numpy(sum(layer.losses)) == pytest.approx(2 * 0.5 * 81)
    assert len(layer.trainable_weights) == 4
    symbolic = layer.symbolic_inputs()
    low, high = layer(symbolic)
    assert low.shape == high.shape == (None, None, WIDTH)
    inner = keras.layers.SimpleRNN(5, return_sequences=True)(low)
    scores = keras.layers.Dense(3)(keras.layers.Concatenate()([inner, high]))
    model = keras.Model(symbolic, scores)
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    before = to_numpy([mix.mix for mix in layer.mixes])
    model.train_on_batch(given, np.ones((4, 5, 3)))
    for old, mix in zip(before, layer.mixes, strict=True):
        assert np.abs(to_numpy(mix.mix) - old).max() > 0
    pooled = elmo(mixes=2, pooling="max")(given)
    assert [each.shape for each in pooled] == [(4, WIDTH)] * 2


def test_dropout_of_the_mix_is_for_training() -> None:
    layer, given = elmo(mix_dropout=0.5), inputs()
    quiet = to_numpy(layer(given))
    np.testing.assert_array_equal(to_numpy(layer(given, training=False)), quiet)
    noisy = to_numpy(layer(given, training=True))
    kept = noisy != 0
    assert 0.3 < kept[given["padding_mask"].astype(bool)].mean() < 0.7
    np.testing.assert_allclose(noisy[kept], 2 * quiet[kept], atol=1e-6)


def test_depth() -> None:
    depths = {0: 0, "layer_0": 1, 1: 2, "layer_1": 2, -1: 2, 2: 3, None: 3}
    layer = elmo()
    assert layer.trainable_from is None
    assert [stage.name for stage in layer.stages] == STAGES
    for depth, first in depths.items():
        layer.trainable_from = depth
        trained = {id(variable) for variable in layer.trainable_variables}
        for index, stage in enumerate(layer.stages):
            found = {id(w) in trained for part in stage.layers for w in part.weights}
            assert found == {index >= first}, (depth, stage.name)
        assert {id(w) for w in layer.mix.weights} <= trained


@pytest.mark.parametrize(("depth", "first"), [(0, 0), ("layer_1", 2)])
def test_training(depth: Any, first: int) -> None:
    """What trains has another value after a step, what does not is the same to the bit."""
    layer, given = elmo(trainable_from=depth), inputs()
    symbolic = layer.symbolic_inputs()
    model = keras.Model(symbolic, keras.layers.Dense(1)(layer(symbolic)))
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    before = [to_numpy([part.weights for part in stage.layers]) for stage in layer.stages]
    mix = to_numpy(layer.mix.mix)
    model.train_on_batch(given, np.ones((4, 5, 1)))
    for index, stage in enumerate(layer.stages):
        variables = [w for part in stage.layers for w in part.weights]
        for old, variable in zip(keras.tree.flatten(before[index]), variables, strict=True):
            moved = not np.array_equal(old, to_numpy(variable))
            assert moved == (index >= first), variable.path
    assert np.abs(to_numpy(layer.mix.mix) - mix).max() > 0
    layer.trainable_from = None
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.train_on_batch(given, np.ones((4, 5, 1)))


def test_layers_above_the_selected_one_are_not_in_use() -> None:
    layer = elmo(hidden_layers=1, trainable_from=0)
    trained = {variable.path.split("/")[1] for variable in layer.trainable_variables}
    assert trained == {"words", "layer_0_forward", "layer_0_backward"}


def test_prefix_and_suffix_are_the_layer() -> None:
    given = inputs()
    for depth in ("layer_0", 1):
        layer = elmo(trainable_from=depth)
        prefix, suffix = layer.split()
        state = prefix(given)
        np.testing.assert_allclose(to_numpy(suffix(state)), to_numpy(layer(given)), atol=1e-6)


# --- states ----------------------------------------------------------------------------------


def test_states_of_rows_that_a_batch_lacks_stay() -> None:
    expected, layer = golden(), elmo(stateful=True, hidden_layers=2, state_rows=5)
    ids = {name: expected[f"{name}_character_ids"] for name in ("first", "second", "third")}
    layer(ids["first"])
    layer(ids["first"][:2])
    kept = to_numpy(layer.states.held["layer_1_backward"][0])
    assert kept[:4].any(-1).all()
    assert not kept[4].any()
    layer.reset_state()
    for name in ("first", "second", "third"):
        found = to_numpy(layer(ids[name]))
    real = (ids["third"] > 0).any(-1)
    np.testing.assert_allclose(found[real], expected["third_stateful"][2][real], atol=1e-5)
    with pytest.raises(ValueError, match=r"states of 5 rows\. Received: a batch of 6"):
        layer(np.repeat(ids["first"][:1], 6, axis=0))


@on_tensorflow
def test_states_in_a_model(tmp_path: Path) -> None:
    """They pass from step to step of `predict`, and a saved model keeps them."""
    expected = golden()
    ids = [expected[f"{name}_character_ids"] for name in ("first", "second", "third")]
    layer = elmo(stateful=True, hidden_layers=2)
    symbolic = keras.Input((None, 50), dtype="int32")
    model = keras.Model(symbolic, layer(symbolic))
    model.predict_on_batch(ids[0])
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    for each in (model, reloaded):
        each.predict_on_batch(ids[1])
        found = each.predict_on_batch(ids[2])
        real = (ids[2] > 0).any(-1)
        np.testing.assert_allclose(found[real], expected["third_stateful"][2][real], atol=1e-5)


# --- texts -----------------------------------------------------------------------------------


@on_tensorflow
def test_sentences_words_and_ids_are_the_same() -> None:
    import tensorflow as tf

    layer = elmo(hidden_layers=0)  # The cheapest output.
    expected = to_numpy(layer(inputs()))
    rows = tf.ragged.constant(BATCH)
    lengths = [len(words) for words in BATCH]
    padded = rows.to_tensor("")
    filled = tf.where(padded == "", "rubbish", padded)
    for given in (
        inputs()["character_ids"],
        layer.tokenizer(SENTENCES),
        layer.tokenizer(BATCH, is_split=True),
        SENTENCES,
        objects(SENTENCES),
        tf.constant(SENTENCES),
        tf.constant(SENTENCES)[:, None],
        BATCH,
        rows,
        padded,
        {"words": padded},
        {"words": filled, "lengths": np.array(lengths)},
    ):
        np.testing.assert_allclose(to_numpy(layer(given)), expected, atol=1e-6)
    for output in elmo(mixes=2)(BATCH):
        np.testing.assert_allclose(to_numpy(output), to_numpy(elmo()(inputs())), atol=1e-6)


@on_tensorflow
def test_texts_in_models(tmp_path: Path) -> None:
    import tensorflow as tf

    layer = elmo()
    words = keras.Input((None,), dtype="string", name="words")
    lengths = keras.Input((), dtype="int32", name="lengths")
    sentences = keras.Input((), dtype="string")
    padded = tf.ragged.constant(BATCH).to_tensor("")
    counts = np.array([len(row) for row in BATCH])
    expected, batches = to_numpy(layer(inputs())), tf.data.Dataset.from_tensors
    for symbolic, given in (
        (sentences, objects(SENTENCES)),
        ({"words": words, "lengths": lengths}, {"words": padded, "lengths": counts}),
    ):
        output = layer(symbolic)
        assert output.shape == (None, None, WIDTH)
        model = keras.Model(symbolic, keras.layers.Dense(2)(output))
        model.compile("adam", "mse")
        before = to_numpy(layer.mix.mix)
        model.fit(batches((given, np.ones((4, 5, 2)))), shuffle=False, verbose=0)
        assert np.abs(to_numpy(layer.mix.mix) - before).max() > 0
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        reloaded.predict(given, verbose=0), model.predict(given, verbose=0), atol=1e-6
    )
    assert np.abs(to_numpy(layer(inputs())) - expected).max() > 0
    pooled = keras.layers.GlobalAveragePooling1D()(elmo()(sentences))
    found = keras.Model(sentences, pooled).predict(objects(SENTENCES), verbose=0)
    np.testing.assert_allclose(found, to_numpy(elmo(pooling="mean")(inputs())), atol=1e-6)


@on_tensorflow
def test_texts_without_words() -> None:
    layer = elmo()
    nothing = to_numpy(layer(["", ""]))
    assert nothing.shape == (2, 1, WIDTH)
    np.testing.assert_array_equal(to_numpy(layer([[], []])), nothing)
    assert to_numpy(layer([])).shape == (0, 1, WIDTH)


@on_tensorflow
def test_a_sentence_is_cut_at_max_length() -> None:
    layer = elmo(max_length=2)
    assert to_numpy(layer(SENTENCES)).shape == (4, 2, WIDTH)
    compiled = elmo(jit_compile=True)
    assert to_numpy(compiled(SENTENCES)).shape == (4, 32, WIDTH)


def test_wrong_inputs() -> None:
    layer = elmo()
    for wrong in (np.zeros((2, 3), "int32"), np.zeros((2, 3, 49), "int32"), np.zeros((2, 3, 50))):
        with pytest.raises(ValueError, match=r"\(batch, words, 50\).*Received"):
            layer(wrong)
    with pytest.raises(ValueError, match=r"Received: character_ids, .*token_ids"):
        layer({**inputs(), "token_ids": np.zeros((2, 3), "int32")})
    with pytest.raises(
        ValueError, match=r"takes character_ids from 0 to 261. Received: 262 to 262"
    ):
        layer(np.full((1, 2, 50), 262))
    if BACKEND != "tensorflow":
        for texts in (SENTENCES, BATCH, {"words": np.array([["a"]])}):
            with pytest.raises(ValueError, match="backend jax does not have"):
                layer(texts)
        return
    with pytest.raises(ValueError, match="single sentences, not pairs"):
        layer((SENTENCES, SENTENCES))
    with pytest.raises(TypeError, match=r"texts\[0\]\[1\] must be a str"):
        layer([["a", 3], ["b"]])
    with pytest.raises(ValueError, match=r"integer 'lengths' of shape \(batch,\)"):
        layer({"words": np.array([["a"]]), "lengths": np.array([[1]])})
    with pytest.raises(ValueError, match="Received: words, masks"):
        layer({"words": np.array([["a"]]), "masks": np.array([1])})


# --- sources ---------------------------------------------------------------------------------


def test_a_preset_from_placed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path))
    with pytest.raises(SourceError, match=r"elmo_2x1024_128_2048cnn_1xhighway_weights\.hdf5"):
        ElmoEmbedding("elmo-small")
    made = ElmoEmbedding("elmo-small", weights=None)
    (tmp_path / "elmo-small").mkdir()
    name = "elmo_2x1024_128_2048cnn_1xhighway_weights.hdf5"
    made.save_weights_as(tmp_path / "elmo-small" / name, dialect="bilm")
    layer = ElmoEmbedding("elmo-small", trainable_from="layer_1")
    assert layer.get_config()["preset"] == "elmo-small"
    assert layer.load_report.dialect == "bilm"
    for one, other in zip(made.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_files_under_the_names_of_allennlp(tmp_path: Path) -> None:
    for name in ("elmo_a", "elmo_b"):
        for suffix, source in (("options.json", "options.json"), ("weights.hdf5", "weights.hdf5")):
            (tmp_path / f"{name}_{suffix}").write_bytes((GOLDEN / source).read_bytes())
    options = json.loads((GOLDEN / "options.json").read_text())
    options["lstm"]["use_skip_connections"] = False
    (tmp_path / "elmo_b_options.json").write_text(json.dumps(options))
    expected = elmo().architecture
    for source in ("elmo_a_options.json", "elmo_a_weights.hdf5"):
        assert ElmoEmbedding(tmp_path / source).architecture == expected
    other = ElmoEmbedding(tmp_path / "elmo_b_weights.hdf5")
    assert not other.architecture.skip_connections
    moved = tmp_path / "elsewhere.hdf5"
    moved.write_bytes((GOLDEN / "weights.hdf5").read_bytes())
    layer = ElmoEmbedding(tmp_path / "elmo_a_options.json", weights=moved)
    np.testing.assert_array_equal(to_numpy(layer(inputs())), to_numpy(elmo()(inputs())))
    random = ElmoEmbedding(tmp_path / "elmo_a_options.json", weights=None)
    assert random.load_report is None
    assert random.architecture == expected
    with pytest.raises(WeightsError, match="no options beside it"):
        ElmoEmbedding(moved)


def test_sources_that_do_not_fit(tmp_path: Path) -> None:
    options = json.loads((GOLDEN / "options.json").read_text())
    (tmp_path / "weights.hdf5").write_bytes((GOLDEN / "weights.hdf5").read_bytes())

    def load(changes: dict[str, Any], group: str = "lstm") -> ElmoEmbedding:
        changed = {**options, group: {**options[group], **changes}}
        changed[group] = {key: value for key, value in changed[group].items() if value != "absent"}
        (tmp_path / "options.json").write_text(json.dumps(changed))
        return ElmoEmbedding(tmp_path)

    assert load({}).architecture == elmo().architecture
    assert load({"cell_clip": "absent"}).architecture.cell_clip is None
    with pytest.raises(WeightsError, match="expected shape"):
        load({"dim": 11})
    with pytest.raises(WeightsError, match=r"nothing uses[\s\S]*Cell1"):
        load({"n_layers": 1})
    with pytest.raises(WeightsError, match="layer_2_forward/kernel: expected"):
        load({"n_layers": 3})
    for changes, group, message in (
        ({"dim": "absent"}, "lstm", "Missing: lstm.dim"),
        ({"dim": "4"}, "lstm", "gives units as '4'"),
        ({"n_layers": 10**6}, "lstm", "num_layers as '1000000'"),
        ({"use_skip_connections": 1}, "lstm", "Expected true or false"),
        ({"filters": [[1, -4]]}, "char_cnn", "Expected pairs of ints"),
        ({"activation": "gelu"}, "char_cnn", "one of relu, tanh"),
        ({"n_characters": 300}, "char_cnn", "n_characters=300"),
        ({"embedding": 3}, "char_cnn", "Expected an object"),
        ({"filters": [[51, 4]]}, "char_cnn", "widths from 1 to max_characters=50"),
    ):
        with pytest.raises(ValueError, match=message):
            load(changes, group)
    (tmp_path / "options.json").write_text("[]")
    with pytest.raises(SourceError, match="Expected an object"):
        ElmoEmbedding(tmp_path)


def test_wrong_arguments() -> None:
    for options, message in (
        ({"pooling": "pooler"}, "needs the original pooler"),
        ({"pooling": "avg"}, r"one of \[None, 'cls', 'mean', 'max', 'mean-max', 'last', 'last-max"),
        ({"mixes": 0}, "int from 1 on"),
        ({"mixes": 2, "hidden_layers": 1}, "need hidden_layers='mix'"),
        ({"mix_dropout": 0.1, "hidden_layers": 1}, "need hidden_layers='mix'"),
        ({"hidden_layers": 3}, "from -3 to 2"),
        ({"trainable_from": 3}, "stem, layer_0, layer_1"),
        ({"architecture": {"hidden_size": 3}}, "Unknown: hidden_size"),
    ):
        with pytest.raises(ValueError, match=message):
            elmo(**options)
    with pytest.raises(ValueError, match="Missing: filters, units"):
        ElmoEmbedding(architecture={"projection_size": 3})


@pytest.mark.parametrize("dialect", ["bilm", "tf-hub", "bilm-training"])
def test_weights_are_written_back(dialect: str, tmp_path: Path) -> None:
    layer = elmo(hidden_layers=2)
    folder = layer.save_weights_as(tmp_path / "folder", dialect=dialect)
    again = ElmoEmbedding(folder, hidden_layers=2, dialect=dialect)
    assert again.architecture == layer.architecture
    np.testing.assert_array_equal(to_numpy(again(inputs())), to_numpy(layer(inputs())))
    if dialect != "bilm":
        name = "bilm/char_embed" if dialect == "tf-hub" else "lm/char_embed"
        table = open_checkpoint(folder)[name].read()
        assert table.shape == ((262, 3) if dialect == "tf-hub" else (261, 3))
        return
    original, written = open_checkpoint(GOLDEN), open_checkpoint(folder)
    assert set(written) == set(original)
    for name in original:
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
    stated = json.loads((GOLDEN / "options.json").read_text())
    assert json.loads((folder / "options.json").read_text()) == stated


# --- exports ---------------------------------------------------------------------------------


@on_tensorflow
def test_saved_model_and_onnx(tmp_path: Path) -> None:
    """One model on sentences: served on strings by TensorFlow, on character ids by ONNX."""
    import onnxruntime
    import tensorflow as tf

    from keras_pretrained.export import to_onnx, to_saved_model

    layer = ElmoEmbedding(architecture=SIZES)
    layer.cache_vocabulary(["apple", "the"])  # Which no artefact may need.
    sentences = keras.Input((), dtype="string", name="sentences")
    scores = keras.layers.Dense(3, name="scores")(layer(sentences))
    model = keras.Model(sentences, scores)
    expected = model.predict(objects(SENTENCES), verbose=0)
    real = inputs()["padding_mask"].astype(bool)
    served = tf.saved_model.load(str(to_saved_model(model, tmp_path / "saved").path))
    found = served.serve({"sentences": tf.constant(SENTENCES)})["scores"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    path = to_onnx(model, tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, layer.tokenizer(SENTENCES))
    np.testing.assert_allclose(found[real], expected[real], atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="lowering for TPU is JAX's")
def test_the_layer_compiles_for_tpu() -> None:
    import jax

    layer = elmo(trainable_from=0)
    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(values: Any, given: Any) -> Any:
        output, _ = layer.stateless_call(values, fixed, given, training=False)
        return (output**2).mean()

    values = [v.value for v in layer.trainable_variables]
    platforms = ["tpu", "cuda", "cpu"]
    exported = jax.export.export(jax.jit(jax.grad(loss)), platforms=platforms)(values, inputs())
    assert set(exported.platforms) == set(platforms)
