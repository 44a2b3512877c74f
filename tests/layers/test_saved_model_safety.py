"""Modules in `.keras` files: honest ones load, those that can do more than compute do not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import SavedModelLayer
from keras_pretrained.layers.saved_model import ModuleError
from tests.layers.saved_models import FOLDER, fresh_process, model_of

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf
import tensorflow_text  # noqa: F401
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.operations import COMPILABLE, HARMLESS, SAVERS
from keras_pretrained.layers.saved_model.safety import check_harmless, harmful

REACHING = (
    *("File", "Save", "Restore", "Checkpoint", "Reader", "Print", "Summary", "Debug", "Abort"),
    *("Py", "Custom", "Library", "Symbolic", "Remote", "Session", "Worker", "Host"),
    *("Send", "Recv", "Rpc", "Collective", "Nccl", "Sql", "Bigtable", "Tpu", "TPU", "Xla", "TRT"),
    *("Dataset", "Iterator", "Queue", "Barrier", "StagingArea", "Stage"),
)
"""Words in the names of operations that do more than compute."""
LOADING = """
import sys, keras
import keras_pretrained.layers

for name in sys.argv[1:]:
    try:
        keras.saving.load_model(f"{name}.keras")
        print(name, "was loaded")
    except ValueError as error:
        print(name, "was refused:", error)
    keras.saving.load_model(f"{name}.keras", safe_mode=False)
"""


def graph(folder: Path) -> SavedGraph:
    return SavedGraph.read(folder, folder.name)


def save(folder: Path, call: Callable[[Any], Any], **attributes: Any) -> Path:
    """A SavedModel of a function of numbers."""
    saved = tf.train.Checkpoint(**attributes)
    saved.__call__ = tf.function(call, input_signature=[tf.TensorSpec([None, 2], name="x")])
    tf.saved_model.save(saved, str(folder))
    return folder


def forged(folder: Path, change: Callable[[Any], None]) -> SavedGraph:
    """A module whose `saved_model.pb` was changed."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(saved)
    path.write_bytes(saved.SerializeToString())
    return graph(folder)


# --- the list ---------------------------------------------------------------------------------


def test_list_is_of_operations_that_exist_and_names_none_that_reach_out() -> None:
    assert {name for name in HARMLESS if op_def_registry.get(name) is None} == set()
    reaching = {name for name in HARMLESS if any(word in name for word in REACHING)}
    assert reaching == set()
    assert not HARMLESS & SAVERS
    assert COMPILABLE < HARMLESS


@pytest.mark.parametrize("module", ["tf1_text", "tf1_references", "tf2_text", "keras2"])
def test_honest_modules_are_harmless(module: str) -> None:
    assert harmful(graph(FOLDER / module)) == []


def test_module_of_keras_3_is_harmless(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, activation="gelu"),
        ]
    )
    model.export(tmp_path / "m", verbose=False)
    assert harmful(graph(tmp_path / "m")) == []


# --- what is refused --------------------------------------------------------------------------


def reads(x: Any) -> Any:
    return x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), "float32")


def writes(x: Any) -> Any:
    tf.io.write_file("never", "text")
    return x


def python(x: Any) -> Any:
    return tf.ensure_shape(tf.numpy_function(lambda y: y, [x], tf.float32), [None, 2])


def branches(x: Any) -> Any:
    return tf.cond(tf.reduce_sum(x) > 1e9, lambda: reads(x), lambda: x)


def saves(x: Any) -> Any:
    tf.raw_ops.SaveV2(prefix="never", tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (reads, "ReadFile"),
        (writes, "WriteFile"),
        (python, "PyFunc"),
        (branches, "ReadFile"),
        (saves, "SaveV2"),
    ],
)
def test_operations_that_reach_out(call: Any, operation: str, tmp_path: Path) -> None:
    module = graph(save(tmp_path / "m", call))
    assert harmful(module) == [operation]
    with pytest.raises(ModuleError, match=rf"{operation}.*safe_mode=False"):
        check_harmless(module)


def table(path: Any) -> Any:
    initializer = tf.lookup.TextFileInitializer(
        path, tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return tf.lookup.StaticHashTable(initializer, -1)


def test_table_of_an_asset_is_harmless_and_of_any_other_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    honest = table(str(tmp_path / "words.txt"))
    call = save(
        tmp_path / "honest",
        lambda x: x + tf.cast(honest.lookup(tf.constant("a")), x.dtype),
        t=honest,
    )
    assert harmful(graph(call)) == []

    def other(saved: Any) -> None:
        """Gives the table's function the name of a file in place of the asset."""
        library = saved.meta_graphs[0].graph_def.library
        for function in library.function:
            for node in function.node_def:
                if node.op == "InitializeTableFromTextFileV2":
                    const = function.node_def.add(name="secret", op="Const")
                    const.attr["dtype"].type = tf.string.as_datatype_enum
                    const.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/passwd"))
                    node.input[1] = "secret:output:0"
                    return

    assert harmful(forged(tmp_path / "honest", other)) == ["InitializeTableFromTextFileV2"]


def test_asset_outside_of_the_module(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\n")
    words = table(str(tmp_path / "words.txt"))
    folder = save(
        tmp_path / "m", lambda x: x + tf.cast(words.lookup(tf.constant("a")), x.dtype), t=words
    )

    def escape(saved: Any) -> None:
        saved.meta_graphs[0].asset_file_def[0].filename = "../../words.txt"

    assert harmful(forged(folder, escape)) == ["asset '../../words.txt'"]


def test_function_that_takes_the_name_of_an_operation(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", lambda x: x * 2.0)

    def rename(saved: Any) -> None:
        function = saved.meta_graphs[0].graph_def.library.function.add()
        function.signature.name = "MatMul"

    assert "function 'MatMul'" in harmful(forged(folder, rename))


def test_functions_of_the_same_name(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", lambda x: x * 2.0)

    def double(saved: Any) -> None:
        library = saved.meta_graphs[0].graph_def.library
        library.function.add().CopyFrom(library.function[0])

    assert harmful(forged(folder, double)) == ["functions or nodes of the same name"]


def test_tf1_graph_is_looked_through_whole(tmp_path: Path) -> None:
    """A node that no signature needs may be run by what loads a module."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        taken = v1.placeholder(tf.float32, [None, 2])
        v1.py_func(lambda x: x, [taken], tf.float32)
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": taken}, {"y": taken + 1.0})
    assert harmful(graph(tmp_path / "m")) == ["PyFunc"]


# --- in files ---------------------------------------------------------------------------------


def test_safe_mode_in_a_fresh_process(tmp_path: Path) -> None:
    numbers = np.ones((1, 2), "float32")
    for name, call in {"doubles": lambda x: x * 2.0, "reads": reads}.items():
        layer = SavedModelLayer(save(tmp_path / f"{name}_module", call))
        model = model_of(layer)
        model.predict(numbers, verbose=0)
        model.save(tmp_path / f"{name}.keras")
    found = fresh_process(LOADING, tmp_path, "doubles", "reads", strict=False)
    assert "doubles was loaded" in found
    assert "reads was refused" in found
    assert "not known to be harmless" in found
    assert "ReadFile" in found
    assert "safe_mode=False" in found


def test_file_whose_module_was_exchanged(tmp_path: Path) -> None:
    model = model_of(SavedModelLayer(save(tmp_path / "m", lambda x: x * 2.0)))
    config = model.layers[1].get_config()
    config["source"]["digest"] = "0" * 64
    layer = SavedModelLayer.from_config(config)
    shutil.copytree(tmp_path / "m", tmp_path / "assets")
    with pytest.raises(ModuleError, match=r"not the one .* saved with.*damaged"):
        layer.load_assets(str(tmp_path / "assets"))
