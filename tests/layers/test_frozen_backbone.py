"""FrozenBackbone: what it takes, what it keeps as it is, and what it refuses."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import BertEncoder, FrozenBackbone
from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.layers.layer_test import to_numpy
from tests.layers.toys import VOCABULARY, branched_model, make_bert

layers = keras.layers
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 6, 6, 3)).astype("float32")
IDS = np.random.default_rng(1).integers(1, VOCABULARY, (4, 5)).astype("int32")


def snapshot(source: Any) -> list[np.ndarray]:
    return [to_numpy(variable).copy() for variable in source.weights]


def fitted(backbone: Any, x: Any, **kwargs: Any) -> keras.Model:
    inputs = backbone.symbolic_inputs()
    outputs = backbone(inputs)
    vectors = keras.ops.mean(outputs, axis=tuple(range(1, len(outputs.shape) - 1)))
    model = keras.Model(inputs, layers.Dense(1, name="task")(vectors))
    model.compile(keras.optimizers.AdamW(0.05), "mse", jit_compile=False)
    model.fit(x, np.ones((4, 1), "float32"), epochs=2, verbose=0)
    return model


# --- what users bring ---------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="toys")
class HubBackbone(keras.Model):
    """Made like a KerasHub backbone: a functional subclass with a configuration of its own."""

    def __init__(self, width: int = 4, two_outputs: bool = False, **kwargs: Any) -> None:
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="int32", name="padding_mask"),
        }
        x = layers.Embedding(VOCABULARY, width, name="table")(inputs["token_ids"])
        mask = keras.ops.expand_dims(keras.ops.cast(inputs["padding_mask"], x.dtype), -1)
        x = layers.Dense(width, activation="tanh", name="block")(x * mask)
        x = layers.LayerNormalization(name="norm")(x)
        outputs: Any = x
        if two_outputs:
            pooled = layers.Dense(width, name="pooled_dense")(x[:, 0, :])
            outputs = {"sequence_output": x, "pooled_output": pooled}
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.width = width

    def get_config(self) -> dict[str, Any]:
        return {"width": self.width, "name": self.name}


def hub_inputs() -> dict[str, np.ndarray]:
    mask = np.ones_like(IDS)
    mask[1:, 3:] = 0
    return {"token_ids": IDS, "padding_mask": mask}


def test_a_model_of_named_inputs_is_frozen_by_its_layers() -> None:
    source = HubBackbone()
    before = snapshot(source)
    backbone = FrozenBackbone(source, trainable_from="block", pooling="avg")
    assert [stage.name for stage in backbone.stages] == ["table", "block"]
    expected = to_numpy(source(hub_inputs()))
    np.testing.assert_allclose(to_numpy(backbone(hub_inputs())), expected.mean(1), atol=1e-6)
    extra = {**hub_inputs(), "ignored": IDS}
    np.testing.assert_allclose(to_numpy(backbone(extra)), expected.mean(1), atol=1e-6)
    fitted(backbone, hub_inputs())
    np.testing.assert_array_equal(to_numpy(backbone.weights[0]), before[0])
    assert not np.array_equal(to_numpy(backbone.weights[1]), before[1])
    for ours, theirs in zip(before, source.weights, strict=True):
        np.testing.assert_array_equal(ours, to_numpy(theirs))


def test_a_model_of_named_outputs_gives_them_by_name(tmp_path: Any) -> None:
    source = HubBackbone(two_outputs=True)
    backbone = FrozenBackbone(source)
    expected = to_numpy(source(hub_inputs()))
    found = to_numpy(backbone(hub_inputs()))
    assert set(found) == {"sequence_output", "pooled_output"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])
    prefix, suffix = FrozenBackbone(source, trainable_from="block").split()
    halves = to_numpy(suffix(prefix(hub_inputs())))
    np.testing.assert_array_equal(halves["pooled_output"], expected["pooled_output"])
    inputs = backbone.symbolic_inputs()
    model = keras.Model(inputs, layers.Dense(2)(backbone(inputs)["pooled_output"]))
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(reloaded(hub_inputs())), to_numpy(model(hub_inputs())))
    with pytest.raises(ValueError, match="needs one output"):
        FrozenBackbone(source, pooling="avg")
    with pytest.raises(ValueError, match=r"padding_mask.*Received: \['token_ids'\]"):
        backbone({"token_ids": IDS})


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_pretrained_layer_keeps_its_stages(pooling: str | None, tmp_path: Any) -> None:
    source = make_bert(pooling=pooling, hidden_layers="mix", trainable_from=0)
    before = snapshot(source)
    expected, features = to_numpy(source(IDS)), to_numpy(source.features(IDS))
    backbone = FrozenBackbone(source, trainable_from="layer_2")
    assert backbone.model is source
    assert [stage.name for stage in backbone.stages] == [stage.name for stage in source.stages]
    np.testing.assert_array_equal(to_numpy(backbone(IDS)), expected)
    found = to_numpy(backbone.features(IDS))
    keras.tree.map_structure(np.testing.assert_array_equal, found, features)
    model = fitted(backbone, {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": IDS**0})
    assert backbone.model.trainable_from == backbone.trainable_from == "layer_2"
    changed = {
        variable.path.split("/")[1]
        for variable, old in zip(backbone.weights, before, strict=True)
        if not np.array_equal(to_numpy(variable), old)
    }
    # The mix is new: it trains at every depth.
    assert changed == {"layer_2", "mix"}
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    copy = next(layer for layer in reloaded.layers if isinstance(layer, FrozenBackbone))
    assert copy.trainable_from == "layer_2"
    assert isinstance(copy.model, BertEncoder)
    np.testing.assert_array_equal(to_numpy(copy(IDS)), to_numpy(backbone(IDS)))


def test_a_pretrained_layer_that_changed_its_depth_must_be_compiled_again() -> None:
    backbone = FrozenBackbone(make_bert(pooling="cls"))
    ids = {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": IDS**0}
    model = fitted(backbone, ids)
    backbone.trainable_from = "layer_1"
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(ids, np.ones((4, 1)), verbose=0)
    prefix, suffix = backbone.split()
    assert not prefix.trainable_variables
    assert len(suffix.trainable_variables) == len(backbone.trainable_variables)


def test_a_text_layer_brings_its_vocabulary(tmp_path: Any) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("strings need TensorFlow")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "frozen", "stage"]
    tokenizer = WordPieceTokenizer(vocabulary, max_length=8)
    source = make_bert(pooling="mean", tokenizer=tokenizer)
    texts = ["frozen stage", "stage"]
    expected = to_numpy(source(texts))
    backbone = FrozenBackbone(source)
    np.testing.assert_array_equal(to_numpy(backbone(texts)), expected)
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, backbone(inputs))
    assert model.output_shape == (None, source.hidden_size)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    reloaded.compile(jit_compile=False)
    np.testing.assert_allclose(
        reloaded.predict(np.array(texts, object), verbose=0), expected, atol=1e-6
    )


def test_layers_that_make_their_parts_late_stay_frozen_in_a_copy() -> None:
    inputs = keras.Input((4, 8))
    x = keras.layers.MultiHeadAttention(2, 4, name="first")(inputs, inputs)
    x = keras.layers.MultiHeadAttention(2, 4, name="second")(x, x)
    backbone = FrozenBackbone(keras.Model(inputs, x), trainable_from="second")
    copy = FrozenBackbone.from_config(backbone.get_config())
    paths = {v.path for v in backbone.trainable_variables}
    assert len(paths) == 8
    assert {v.path for v in copy.trainable_variables} == paths
    assert not any(part.trainable for part in copy.stages[0].layers[0]._flatten_layers())


def test_a_saved_model_file_is_a_source(tmp_path: Any) -> None:
    model = branched_model()
    model.save(tmp_path / "network.keras")
    backbone = FrozenBackbone(tmp_path / "network.keras", trainable_from="tail")
    np.testing.assert_array_equal(to_numpy(backbone(IMAGES)), to_numpy(model(IMAGES)))


# --- what stays as it is ------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_are_kept_unless_asked_otherwise(kept: bool) -> None:
    options = {} if kept else {"keep_statistics": False}
    backbone = FrozenBackbone(branched_model(), trainable_from="right", **options)
    before = {variable.path: to_numpy(variable).copy() for variable in backbone.weights}
    fitted(backbone, IMAGES)
    moved = {
        variable.path
        for variable in backbone.weights
        if not np.array_equal(before[variable.path], to_numpy(variable))
    }
    statistics = {f"right_norm/moving_{name}" for name in ("mean", "variance")}
    assert moved & statistics == (set() if kept else statistics)
    assert {"right_norm/gamma", "right_norm/beta", "right/kernel", "tail/kernel"} <= moved
    assert not {path for path in moved if path.startswith(("root", "left"))}
    copy = FrozenBackbone.from_config(backbone.get_config())
    assert copy.keep_statistics == kept


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_inside_other_layers_are_found(kept: bool) -> None:
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()], name="inner"
    )
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="tail")(inner(inputs)))
    backbone = FrozenBackbone(model, trainable_from=0, keep_statistics=kept)
    vectors = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    expected = to_numpy(backbone(vectors))
    same = np.allclose(to_numpy(backbone(vectors, training=True)), expected, atol=1e-6)
    assert same == kept


def test_images_of_bytes_go_in_as_they_are() -> None:
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 3, name="root")(inputs))
    backbone = FrozenBackbone(model)
    images = IMAGES.astype("uint8")
    expected = to_numpy(model(images.astype("float32")))
    np.testing.assert_array_equal(to_numpy(backbone(images)), expected)


# --- errors -------------------------------------------------------------------------------------


def test_what_cannot_be_frozen_says_what_can() -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    for source, message in {
        5: "Expected a preset's name",
        layers.Dense(3): "Expected a preset's name",
        Subclassed(): "has no graph yet",
        keras.Sequential([layers.Dense(2)]): "has no graph yet",
        "inception-v7": "Did you mean",
        "weights.ckpt": r"ResNetV1_50\(weights=path, include_top=False\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            FrozenBackbone(source)


def test_wrong_pooling_and_depth_list_what_is_right() -> None:
    with pytest.raises(ValueError, match="'avg' or 'max'"):
        FrozenBackbone(branched_model(), pooling="mean")
    with pytest.raises(ValueError, match=r"BertEncoder\(\.\.\., pooling='max'\)"):
        FrozenBackbone(make_bert(), pooling="max")
    with pytest.raises(TypeError, match="'alpha' belong to the builder"):
        FrozenBackbone(branched_model(), alpha=0.5)
    with pytest.raises(ValueError, match="root, left, right, tail"):
        FrozenBackbone(branched_model(), trainable_from="block9")


# --- several stages as the output -----------------------------------------------------------------


def test_outputs_are_the_results_of_chosen_stages(tmp_path: Any) -> None:
    source = branched_model()
    backbone = FrozenBackbone(source, trainable_from=0, outputs=["right", "root"])
    features = to_numpy(FrozenBackbone(source).features(IMAGES))
    found = to_numpy(backbone(IMAGES))
    assert list(found) == ["right", "root"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, features[name])
    assert set(backbone.features(IMAGES)) == {"root", "left", "right", "tail"}
    # Nothing depends on what lies behind the last of them: it is not run, and does not train.
    assert not [v for v in backbone.trainable_variables if v.path.startswith("tail")]
    backbone.trainable_from = "right"
    prefix, suffix = backbone.split()
    halves = to_numpy(suffix(prefix(IMAGES)))
    for name, values in found.items():
        np.testing.assert_array_equal(halves[name], values)
    inputs = backbone.symbolic_inputs()
    outputs = backbone(inputs)
    assert outputs["root"].shape == (None, 6, 6, 4)
    model = keras.Model(inputs, layers.Add()([outputs["right"], outputs["root"]]))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(again(IMAGES)), found["right"] + found["root"])
    assert again.layers[1].outputs == ("right", "root")


@pytest.mark.parametrize("outputs", [["nowhere"], "root", []])
def test_outputs_that_are_no_stages_are_an_error(outputs: Any) -> None:
    with pytest.raises(ValueError, match=r"names of stages: root, left, right, tail. Received"):
        FrozenBackbone(branched_model(), outputs=outputs)


def test_outputs_are_not_pooled_and_not_of_layers() -> None:
    with pytest.raises(ValueError, match="pooling='avg'"):
        FrozenBackbone(branched_model(), outputs=["root"], pooling="avg")
    with pytest.raises(ValueError, match="Expected a model"):
        FrozenBackbone(make_bert(), outputs=["layer_0"])
