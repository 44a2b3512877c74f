"""HDF5: our reader against h5py, which reads through the HDF5 library, and against Keras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint
from keras_pretrained.checkpoints.hdf5 import open_hdf5

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"


def compare_with_h5py(path: Path) -> int:
    """Every dataset of the file, by the HDF5 library and by us."""
    checkpoint = open_checkpoint(path)
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visit(names.append)
        datasets = [name for name in names if isinstance(file[name], h5py.Dataset)]
        left_out = checkpoint.metadata.get("unreadable", {})
        assert set(datasets) == {*checkpoint, *left_out}
        for name in checkpoint:
            expected, found = file[name][()], checkpoint[name].read()
            expected = np.asarray(expected)
            assert found.shape == expected.shape, name
            assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("="), name
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert not found.flags.writeable
    return len(datasets)


FLOATS = ("<f2", "<f4", "<f8", ">f4", ">f8", "<c8", "<c16", ">c8")
INTEGERS = ("i1", "<i2", "<i4", "<i8", ">i4", "u1", "<u2", "<u8", "?")


@pytest.mark.parity
@pytest.mark.parametrize("code", [*FLOATS, *INTEGERS])
@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_element_types(tmp_path: Path, code: str, version: str) -> None:
    values = (np.arange(24).reshape(2, 3, 4) - 5).astype(code)
    with h5py.File(tmp_path / "a.h5", "w", libver=version) as file:
        file["group/values"] = values
        file["scalar"] = values[0, 0, 0]
        file["empty"] = values[:0]
    assert compare_with_h5py(tmp_path / "a.h5") == 3


@pytest.mark.parity
@pytest.mark.parametrize("options", range(7))
@pytest.mark.parametrize("shape", [(7,), (100, 30), (5, 6, 7)])
def test_chunked_and_packed_data(tmp_path: Path, options: int, shape: tuple[int, ...]) -> None:
    choices: list[dict[str, Any]] = [
        {"chunks": True},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"fletcher32": True},
        {"chunks": tuple(-(-size // 3) for size in shape), "compression": "gzip"},
        {"maxshape": (None,) * len(shape), "shuffle": True},
    ]
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, **choices[options])
        file.create_dataset("zeros", data=np.zeros_like(values), **choices[options])
    assert compare_with_h5py(tmp_path / "a.h5") == 2


@pytest.mark.parity
def test_many_chunks_make_a_tree_of_several_levels(tmp_path: Path) -> None:
    values = np.arange(4000, dtype=np.int32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(3,))
    assert compare_with_h5py(tmp_path / "a.h5") == 1


@pytest.mark.parity
def test_many_names_make_a_tree_of_several_levels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(1500):
            file[f"layer_{number}/名前_{number % 7}"] = np.float32(number)
    assert compare_with_h5py(tmp_path / "a.h5") == 1500


@pytest.mark.parity
@pytest.mark.parametrize("size", [0, 512, 2048])
def test_a_user_block_before_the_data(tmp_path: Path, size: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=size) as file:
        file["x"] = np.arange(5.0)
        file.create_dataset("chunked", data=np.arange(10.0), chunks=(4,))
    assert compare_with_h5py(tmp_path / "a.h5") == 2


@pytest.mark.parity
def test_groups_in_order_of_creation(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", track_order=True) as file:
        for name in ("z", "a", "m"):
            file.create_group(name, track_order=True)["x"] = np.ones(2)
    assert compare_with_h5py(tmp_path / "a.h5") == 3


@pytest.mark.parity
def test_data_inside_the_header(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space, kind = h5py.h5s.create_simple((3,)), h5py.h5t.IEEE_F32LE
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        made = h5py.h5d.create(file.id, b"x", kind, space, layout)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 3], np.float32))
    assert compare_with_h5py(tmp_path / "a.h5") == 1


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", ["elmo/lm_weights.hdf5", *(f"elmo/lm_embeddings_{k}.hdf5" for k in range(3))]
)
def test_published_files(name: str) -> None:
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"absent: {name}")
    assert compare_with_h5py(path) >= 10


def test_contiguous_data_is_a_view_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(1000, dtype=np.float32)
    read = open_hdf5(tmp_path / "a.h5")["x"].read()
    assert not read.flags.owndata


def test_what_is_no_tensor_is_left_out_and_said_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones(2)
        file["text"] = "hello"
        file["texts"] = np.array([b"a", b"bc"])
        file["record"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
        file["nothing"] = h5py.Empty("f4")
    checkpoint = open_hdf5(tmp_path / "a.h5")
    assert list(checkpoint) == ["x"]
    assert set(checkpoint.metadata["unreadable"]) == {"text", "texts", "record", "nothing"}


def small_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(3, 2, name="z_conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="a_dense"),
        ]
    )


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_old_keras_files_keep_the_order_of_layers(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "m.h5")
    checkpoint = open_checkpoint(tmp_path / "m.h5")
    assert checkpoint.format == "keras-h5"
    layers = checkpoint.metadata["keras_layers"]
    assert [name for name, paths in layers if paths] == ["z_conv", "norm", "a_dense"]
    for name, paths in layers:
        weights = model.get_layer(name).get_weights()
        assert len(paths) == len(weights)
        for path, expected in zip(paths, weights, strict=True):
            np.testing.assert_array_equal(checkpoint[path].read(), expected)
    assert checkpoint.metadata["keras_version"] == keras.__version__
    assert checkpoint.metadata["model_config"].startswith('{"class_name": "Sequential"')


def test_lists_of_names_that_keras_cut_into_parts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["layer_names0"] = np.array([b"one"])
        file.attrs["layer_names1"] = np.array([b"two", b"none"])
        for layer in ("one", "two"):
            file.create_group(layer).attrs["weight_names"] = np.array([b"w:0", b"v/b:0"])
            file[f"{layer}/v/b:0"], file[f"{layer}/w:0"] = np.zeros(1), np.ones(1)
        file.create_group("none").attrs["weight_names"] = np.array([])
    layers = open_hdf5(tmp_path / "m.h5").metadata["keras_layers"]
    assert layers == [
        ("one", ["one/w:0", "one/v/b:0"]),
        ("two", ["two/w:0", "two/v/b:0"]),
        ("none", []),
    ]


def test_a_listed_weight_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["layer_names"] = ["one"]
        file.create_group("one").attrs["weight_names"] = ["w", "gone"]
        file["one/w"] = np.zeros(1)
    with pytest.raises(CheckpointError, match="one/gone"):
        open_hdf5(tmp_path / "m.h5")


def test_bfloat16_as_keras_stores_it(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3e38], ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values).attrs["dtype"] = "bfloat16"
        file.create_dataset("unmarked", data=values)
    checkpoint = open_hdf5(tmp_path / "a.h5")
    assert checkpoint["x"].read().tobytes() == values.tobytes()
    assert checkpoint["x"].dtype == ml_dtypes.bfloat16
    assert "unmarked" in checkpoint.metadata["unreadable"]


@pytest.mark.parametrize("what", ["links", "attributes", "chunks", "lzf"])
def test_what_is_not_read_says_so_and_names_the_remedy(tmp_path: Path, what: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=None if what == "lzf" else "latest") as file:
        if what == "links":
            for number in range(20):
                file[f"layer_{number}"] = np.ones(1)
        elif what == "attributes":
            for number in range(20):
                file.attrs[f"note_{number}"] = number
        elif what == "chunks":
            file.create_dataset("x", data=np.arange(100.0), chunks=(7,), maxshape=(None,))
        else:
            file.create_dataset("x", data=np.arange(100.0), compression="lzf")
    with pytest.raises(CheckpointError, match="h5repack"):
        open_hdf5(tmp_path / "a.h5")


def test_reading_needs_no_hdf5_library() -> None:
    code = (
        "import sys, keras_pretrained.checkpoints.hdf5\n"
        "loaded = {'h5py', 'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
        "sys.exit(', '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
