"""`SavedModelLayer` in `.keras` files, copies of models, exports, and from handles."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import FrozenBackbone, SavedModelLayer
from keras_pretrained.layers.saved_model import ModuleError
from keras_pretrained.presets.fetching.entries import Kept, Manifest, entry_of
from tests.layers.saved_models import FOLDER, expected, fresh_process, model_of, texts

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf

from keras_pretrained.export import to_saved_model

MODULES = ["tf1_text", "tf1_references", "tf2_text", "keras2"]
HANDLE = "https://tfhub.dev/somebody/texts/2"
RELOADING = """
import sys, keras, numpy as np, tensorflow as tf
import keras_pretrained.layers

for name in sys.argv[1:]:
    model = keras.saving.load_model(f"{name}.keras")
    given = dict(np.load(f"{name}.npz"))
    expected = given.pop("result")
    inputs = {key: tf.constant(value) for key, value in given.items()}
    inputs = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    found = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if getattr(model, "optimizer", None) is not None:
        model.train_on_batch(inputs, np.zeros_like(found))
        assert np.abs(model.predict(inputs, verbose=0) - found).max() > 1e-6
    model.save("again.keras")
    print(name, "is the same")
"""


def example(module: str) -> tuple[Any, keras.Model]:
    """Inputs, and a model of a module that was trained for a step."""
    output = {"tf1_text": "default", "tf1_references": "logits", "keras2": "logits"}.get(module)
    layer = SavedModelLayer(FOLDER / module, output=output, trainable=True)
    values = expected()
    inputs: Any = texts()
    if module == "tf1_references":
        inputs = values["numbers"]
    elif module == "keras2":
        inputs = {name: values[f"keras2_{name}"] for name in ("left", "right")}
    model = model_of(layer, 2)
    model.compile("adam", "mse", jit_compile=False)
    model.train_on_batch(inputs, np.ones((len(keras.tree.flatten(inputs)[0]), 2)))
    return inputs, model


def store(folder: Path, name: str, inputs: Any, model: keras.Model) -> None:
    """A model's file, with what it must compute when it is loaded."""
    named = inputs if isinstance(inputs, dict) else {"input": inputs}
    given = {key: np.asarray(value) for key, value in named.items()}
    given = {key: x.astype("U") if x.dtype == object else x for key, x in given.items()}
    np.savez(folder / f"{name}.npz", result=model.predict(inputs, verbose=0), **given)
    model.save(folder / f"{name}.keras")


def with_handle(embed: bool) -> keras.Model:
    model = model_of(SavedModelLayer(HANDLE, trainable=True, embed=embed), 2)
    model.compile("adam", "mse")
    model.train_on_batch(texts(), np.ones((4, 2)))
    return model


def changing_table(folder: Path) -> keras.Model:
    """A model of a module whose table is filled while it runs."""
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(["the cat sat on the mat"], [7])
    saved = tf.train.Checkpoint(table=table)
    signature = [tf.TensorSpec([None], tf.string)]
    saved.__call__ = tf.function(lambda words: table.lookup(words), input_signature=signature)
    tf.saved_model.save(saved, str(folder / "module"))
    layer = SavedModelLayer(folder / "module")
    np.testing.assert_array_equal(layer(texts()), [7, -1, -1, -1])
    return model_of(layer)


def test_reload_in_fresh_processes(home, tmp_path):
    put_into_cache(home, HANDLE, FOLDER / "tf2_text")
    for module in MODULES:
        store(tmp_path, module, *example(module))
    store(tmp_path, "named", texts(), with_handle(embed=False))
    store(tmp_path, "embedded", texts(), with_handle(embed=True))
    store(tmp_path, "table", texts(), changing_table(tmp_path))
    backbone = model_of(FrozenBackbone(str(FOLDER / "tf2_text"), trainable_from=0), 2)
    backbone.compile("adam", "mse")
    backbone.train_on_batch(texts(), np.ones((4, 2)))
    store(tmp_path, "backbone", texts(), backbone)
    shutil.rmtree(tmp_path / "module")

    found = fresh_process(RELOADING, tmp_path, "named", KERAS_PRETRAINED_HOME=str(home))
    assert found.splitlines() == ["named is the same"]
    # Another machine has none of the files.
    names = [*MODULES, "embedded", "table", "backbone"]
    elsewhere = {"KERAS_PRETRAINED_HOME": str(tmp_path / "empty")}
    found = fresh_process(RELOADING, tmp_path, *names, **elsewhere)
    assert found.splitlines() == [f"{name} is the same" for name in names]


def test_handle_must_have_been_fetched(home, tmp_path):
    put_into_cache(home, HANDLE, FOLDER / "tf2_text")
    config = with_handle(embed=False).layers[1].get_config()
    assert FOLDER.name not in json.dumps(config)
    # In this process the module would be known by its hash.
    config["source"]["digest"] = "0" * 64
    with pytest.raises(ModuleError, match=r"not the one .* `keras-pretrained fetch --force"):
        SavedModelLayer.from_config(config)
    shutil.rmtree(entry_of(HANDLE).folder)
    with pytest.raises(
        ModuleError, match=f"not on this machine.*`keras-pretrained fetch {HANDLE}`"
    ):
        SavedModelLayer.from_config(config)


@pytest.mark.parametrize("module", MODULES)
def test_export(module, tmp_path):
    inputs, model = example(module)
    original = model.predict(inputs, verbose=0)
    model.export(tmp_path / "plain", verbose=False)
    plain = tf.saved_model.load(str(tmp_path / "plain"))
    np.testing.assert_allclose(plain.serve(inputs), original, atol=1e-6)
    report = to_saved_model(model, tmp_path / "compared", inputs=inputs)
    assert report.largest_difference < 1e-6
    # What was exported is a module like any other.
    again = SavedModelLayer(tmp_path / "plain", trainable=True)
    np.testing.assert_allclose(again(inputs), original, atol=1e-6)


def test_file_holds_the_variables_once_and_no_path(tmp_path):
    _, model = example("tf2_text")
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        names = [Path(name).name for name in archive.namelist()]
        config = archive.read("config.json").decode()
    assert "saved_model.pb" in names
    assert "words.txt" in names
    assert not any(name.startswith("variables.") for name in names)
    assert str(FOLDER) not in config
    assert "/goldens" not in config


def test_copies_of_a_model_have_variables_of_their_own():
    inputs, model = example("tf2_text")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    before = model.predict(inputs, verbose=0)
    np.testing.assert_array_equal(copy.predict(inputs, verbose=0), before)
    copy.compile("sgd", "mse")
    copy.train_on_batch(inputs, np.ones((4, 2)))
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), before)


def test_weights_alone_load_into_the_same_architecture(tmp_path):
    inputs, model = example("tf1_text")
    model.save_weights(tmp_path / "x.weights.h5")
    layer = SavedModelLayer(FOLDER / "tf1_text", output="default", trainable=True)
    other = model_of(layer, 2)
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(
        other.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


def test_module_that_changed_is_not_saved(tmp_path):
    shutil.copytree(FOLDER / "tf2_text", tmp_path / "module")
    model = model_of(SavedModelLayer(tmp_path / "module"))
    (tmp_path / "module/assets/words.txt").write_text("other\n")
    with pytest.raises(ModuleError, match="changed or removed"):
        model.save(tmp_path / "model.keras")


def test_config_alone_says_what_is_missing():
    layer = SavedModelLayer(FOLDER / "tf2_text")
    config = json.loads(json.dumps(layer.get_config()))
    config["source"]["digest"] = "0" * 64
    rebuilt = SavedModelLayer.from_config(config)
    inputs = keras.Input((), dtype="string")
    assert rebuilt(inputs).shape == (None, 4)
    with pytest.raises(ModuleError, match=r"does not hold the module itself"):
        rebuilt(texts())


# --- handles ----------------------------------------------------------------------------------


def put_into_cache(home: Path, address: str, module: Path) -> None:
    """A module as `keras-pretrained fetch` leaves it."""
    entry = entry_of(address)
    shutil.copytree(module, entry.content)
    files = {}
    for path in sorted(entry.content.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files[path.relative_to(entry.content).as_posix()] = Kept(path.stat().st_size, digest)
    entry.write(Manifest(address=address, files=files, whole=True))


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(folder))
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    return folder


def test_cache_of_tensorflow_hub_is_used_where_it_is(home, tmp_path, monkeypatch):
    hashed = hashlib.sha1(HANDLE.encode()).hexdigest()
    shutil.copytree(FOLDER / "tf2_text", tmp_path / "hub" / hashed)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    assert SavedModelLayer(HANDLE).info.startswith(f"SavedModel of TF2 {HANDLE}")


def test_absent_handle_without_network(home):
    with pytest.raises(ValueError, match=f"{HANDLE} is not on this machine"):
        SavedModelLayer(HANDLE)


HUB = """
import sys
import tensorflow_hub

print(tensorflow_hub.resolve(sys.argv[1]))
"""


@pytest.mark.skipif(find_spec("tensorflow_hub") is None, reason="absent: tensorflow_hub")
def test_what_tensorflow_hub_has_fetched_is_found(home, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(FOLDER / "tf2_text", ".")

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(packed.getvalue())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    hub = {"TFHUB_CACHE_DIR": str(tmp_path / "hub")}
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handle = f"http://127.0.0.1:{server.server_port}/texts/2"
        folder = fresh_process(HUB, tmp_path, handle, strict=False, **hub).strip()
        server.shutdown()
    assert Path(folder).parent == tmp_path / "hub"
    with pytest.raises(ValueError, match=handle):
        SavedModelLayer(handle)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    np.testing.assert_array_equal(SavedModelLayer(handle)(texts()), expected()["tf2_text"])
