"""SavedModel folders that TensorFlow and Keras wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.object_graph import VALUE_SUFFIX, read_saved_names
from keras_pretrained.checkpoints.saved_model import open_saved_model
from tests.checkpoints.tf_oracle import assert_equal_tensors, tensorflow_tensors

tf = pytest.importorskip("tensorflow")


class Encoder(tf.Module):
    """Names as tensorflow_models writes them: the attribute path says nothing."""

    def __init__(self, vocabulary: str | None = None) -> None:
        super().__init__()
        self.variables_list = [
            tf.Variable(tf.random.normal((4, 2)), name="word_embeddings/embeddings"),
            tf.Variable(tf.random.normal((2, 2)), name="transformer/layer_0/output/kernel"),
            tf.Variable(tf.zeros((2,)), name="bias"),
            tf.Variable(tf.ones((2,)), name="bias"),
        ]
        setattr(self, "a.b/c", tf.Variable(7, name="escaped"))
        self.do_lower_case = tf.Variable(True, name="do_lower_case")
        if vocabulary is not None:
            self.vocabulary = tf.saved_model.Asset(vocabulary)


def values(folder: Path) -> dict[str, np.ndarray]:
    return {name: array.read() for name, array in open_saved_model(folder).items()}


def rename(expected: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """TensorFlow's tensors under the names that we expose, by the object paths in metadata."""
    paths = open_saved_model(folder).metadata["object_paths"]
    short = {key.removesuffix(VALUE_SUFFIX): value for key, value in expected.items()}
    return {name: short[path] for name, path in paths.items()}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n")
    tf.saved_model.save(Encoder(str(vocabulary)), str(tmp_path / "saved"))
    return tmp_path / "saved"


@pytest.mark.parity
def test_variables_under_their_friendly_names(encoder: Path) -> None:
    checkpoint = open_saved_model(encoder)
    assert sorted(checkpoint) == [
        "do_lower_case",
        "escaped",
        "transformer/layer_0/output/kernel",
        "variables_list/2",
        "variables_list/3",
        "word_embeddings/embeddings",
    ]
    assert checkpoint.metadata["object_paths"]["word_embeddings/embeddings"] == "variables_list/0"
    assert checkpoint.metadata["assets"] == ["assets/vocab.txt"]
    expected = tensorflow_tensors(encoder / "variables" / "variables")
    assert_equal_tensors(checkpoint, rename(expected, encoder))


@pytest.mark.parity
def test_names_from_the_graph_when_the_bundle_has_none(encoder: Path) -> None:
    """The second source of names gives what the first gave."""
    keys = list(tensorflow_tensors(encoder / "variables" / "variables"))
    names = read_saved_names(memoryview((encoder / "saved_model.pb").read_bytes()), keys)
    by_path = {
        f"variables_list/0{VALUE_SUFFIX}": "word_embeddings/embeddings",
        f"variables_list/1{VALUE_SUFFIX}": "transformer/layer_0/output/kernel",
        f"variables_list/2{VALUE_SUFFIX}": "bias",
        f"variables_list/3{VALUE_SUFFIX}": "bias",
        f"a..b.Sc{VALUE_SUFFIX}": "escaped",
        f"do_lower_case{VALUE_SUFFIX}": "do_lower_case",
    }
    assert names == by_path


@pytest.mark.parity
def test_a_bundle_without_object_graph(encoder: Path) -> None:
    before = values(encoder)
    prefix = encoder / "variables" / "variables"
    tensors = tensorflow_tensors(prefix)
    del tensors["_CHECKPOINTABLE_OBJECT_GRAPH"]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.convert_to_tensor(value) for value in tensors.values()],
    )
    after = values(encoder)
    assert sorted(after) == sorted(before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def keras_model() -> object:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)
    return model


@pytest.mark.parity
def test_a_keras_export_lists_every_weight_twice(tmp_path: Path) -> None:
    model = keras_model()
    model.export(str(tmp_path / "saved"), verbose=False)
    checkpoint = open_saved_model(tmp_path / "saved")
    for weight in model.weights:
        name = (
            f"{model.name}/{weight.path}" if not weight.path.startswith(model.name) else weight.path
        )
        np.testing.assert_array_equal(checkpoint[name].read(), weight.numpy())
        assert name in checkpoint.metadata["aliases"].values()
    expected = tensorflow_tensors(tmp_path / "saved" / "variables" / "variables")
    assert_equal_tensors(checkpoint, rename(expected, tmp_path / "saved"))


@pytest.mark.parity
def test_a_compiled_keras_model_keeps_optimizer_state_apart(tmp_path: Path) -> None:
    model = keras_model()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    checkpoint = open_saved_model(tmp_path / "saved")
    model_names = [name for name in checkpoint if not name.startswith("optimizer/")]
    assert sorted(model_names) == sorted(weight.path for weight in model.weights)
    for weight in model.weights:
        np.testing.assert_array_equal(checkpoint[weight.path].read(), weight.numpy())
    assert checkpoint["optimizer/_iterations"].read() == 1


@pytest.mark.parity
def test_a_tf1_saved_model_keeps_its_names(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("bert/embeddings/word_embeddings", (5, 2))
        v1.get_variable("module/part", (6,), partitioner=v1.fixed_size_partitioner(2))
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "saved"))
        builder.add_meta_graph_and_variables(session, [])
        builder.save()
    checkpoint = open_saved_model(tmp_path / "saved")
    assert sorted(checkpoint) == ["bert/embeddings/word_embeddings", "module/part"]
    assert not checkpoint.metadata["object_based"]
    expected = tensorflow_tensors(tmp_path / "saved" / "variables" / "variables")
    assert_equal_tensors(checkpoint, expected)


def test_lookup_tables_keep_their_keys(tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.lookup.experimental.DenseHashTable(
        tf.string, tf.int64, default_value=-1, empty_key="", deleted_key="\x00"
    )
    module.table.insert(tf.constant(["a"]), tf.constant([5], tf.int64))
    tf.saved_model.save(module, str(tmp_path / "saved"))
    checkpoint = open_saved_model(tmp_path / "saved")
    keys = checkpoint["table/.ATTRIBUTES/table-keys"].read().ravel().tolist()
    assert checkpoint["table/.ATTRIBUTES/table-values"].read()[keys.index(b"a")] == 5


def test_a_graph_without_variables_is_empty(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"))
    (tmp_path / "saved" / "variables" / "variables.index").unlink()
    for data in (tmp_path / "saved" / "variables").iterdir():
        with pytest.raises(CheckpointError, match=r"no 'variables/variables\.index'"):
            open_saved_model(tmp_path / "saved")
        data.unlink()
    assert len(open_saved_model(tmp_path / "saved")) == 0


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected 'saved_model\.pb'"):
        open_saved_model(tmp_path)


def test_a_broken_graph_is_an_error_when_it_is_needed(encoder: Path) -> None:
    test_a_bundle_without_object_graph(encoder)
    (encoder / "saved_model.pb").write_bytes(b"\x12\xff\xff\xff\xff\x0f")
    with pytest.raises(CheckpointError, match=r"saved_model\.pb.*Field 2 declares"):
        open_saved_model(encoder)
