"""`.keras` and `.weights.h5` as Keras itself writes them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint


def small_model(dtype: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="first", dtype=dtype)(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    return keras.Model(inputs, keras.layers.Dense(2, name="second")(hidden))


# Keras names the groups after classes, and counts them.
GROUPS = {
    "first": "layers/dense/vars",
    "norm": "layers/batch_normalization/vars",
    "second": "layers/dense_1/vars",
}


@pytest.mark.parity
@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_values_are_those_of_the_model(tmp_path: Path, name: str) -> None:
    model = small_model()
    if name == "m.keras":
        model.save(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
    checkpoint = open_checkpoint(tmp_path / name)
    assert checkpoint.format == ("keras" if name == "m.keras" else "keras-weights-h5")
    expected = {
        f"{group}/{index}": values
        for layer, group in GROUPS.items()
        for index, values in enumerate(model.get_layer(layer).get_weights())
    }
    assert set(checkpoint) == set(expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(checkpoint[path].read(), values)
        if name == "m.weights.h5":
            # In the archive the member may lie at any offset, and unaligned data is copied.
            assert not checkpoint[path].read().flags.owndata
    names = checkpoint.metadata["keras_names"]
    assert {names[group.removesuffix("/vars")] for group in GROUPS.values()} == set(GROUPS)


@pytest.mark.parity
def test_the_configuration_is_kept_as_text(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "m.keras")
    metadata = open_checkpoint(tmp_path / "m.keras").metadata
    assert json.loads(metadata["config"])["config"]["name"] == model.name
    assert metadata["keras_version"] == keras.__version__


@pytest.mark.parity
def test_an_optimizer_is_kept_apart(tmp_path: Path) -> None:
    model = small_model()
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "m.keras")
    names = set(open_checkpoint(tmp_path / "m.keras"))
    assert {"optimizer/vars/0", "layers/dense/vars/0"} <= names


@pytest.mark.parity
def test_bfloat16_weights(tmp_path: Path) -> None:
    model = small_model(dtype="bfloat16")
    model.save(tmp_path / "m.keras")
    found = open_checkpoint(tmp_path / "m.keras")["layers/dense/vars/0"]
    expected = keras.ops.convert_to_numpy(
        keras.ops.cast(model.get_layer("first").kernel, "float32")
    )
    assert str(found.dtype) == "bfloat16"
    np.testing.assert_array_equal(found.read().astype(np.float32), expected)


def repack(source: Path, target: Path, **changes: bytes | None) -> None:
    """Packs an archive again, compressed, with members replaced or (None) left out."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            data = changes.get(name.replace(".", "_"), old.read(name))
            if data is not None:
                new.writestr(name, data)


def test_an_archive_that_was_packed_again(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "m.keras")
    repack(tmp_path / "m.keras", tmp_path / "again.keras")
    checkpoint = open_checkpoint(tmp_path / "again.keras")
    expected = model.get_layer("first").get_weights()[0]
    np.testing.assert_array_equal(checkpoint["layers/dense/vars/0"].read(), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_weights_h5": None}, "model.weights.h5"),
        ({"model_weights_h5": b"not HDF5"}, "HDF5"),
        ({"config_json": b"{"}, "JSON"),
        ({"config_json": b"[1]"}, "JSON object"),
    ],
)
def test_an_archive_with_a_broken_part(
    tmp_path: Path, changes: dict[str, bytes | None], message: str
) -> None:
    small_model().save(tmp_path / "m.keras")
    repack(tmp_path / "m.keras", tmp_path / "broken.keras", **changes)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "broken.keras")
