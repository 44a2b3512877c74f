"""V1 checkpoints against TensorFlow's reader."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints.tf_v1 import open_tf_v1
from tests.checkpoints import tf_files
from tests.checkpoints.tf_oracle import assert_equal_tensors

tf = pytest.importorskip("tensorflow")

RANDOM = np.random.default_rng(11)

NUMBERS = [
    np.float32,
    np.float64,
    np.float16,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.complex64,
    np.complex128,
]


def save(path: Path, tensors: dict[str, object], slices: list[str] | None = None) -> Path:
    """Written by TensorFlow's own V1 writer."""
    tf.raw_ops.SaveSlices(
        filename=str(path),
        tensor_names=list(tensors),
        shapes_and_slices=slices or [""] * len(tensors),
        data=[tf.convert_to_tensor(value) for value in tensors.values()],
    )
    return path


def restored(pattern: Path) -> dict[str, np.ndarray]:
    """TensorFlow's tensors: its Python reader refuses slices and some types, its op reads all."""
    reader = tf.train.load_checkpoint(str(pattern))
    tensors = {}
    for name, dtype in reader.get_variable_to_dtype_map().items():
        tensor = tf.raw_ops.Restore(file_pattern=str(pattern), tensor_name=name, dt=dtype).numpy()
        tensors[name] = np.array(tensor, object if dtype == tf.string else None)
    return tensors


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parity
def test_numbers_of_every_type(tmp_path: Path, dtype: type) -> None:
    values = (RANDOM.standard_normal((3, 40)) * 100).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values[0] = limits.min
        values[1] = limits.max
    tensors = {"matrix": values, "scalar": values[1, 1], "empty": values[:0]}
    path = save(tmp_path / "x.ckpt", tensors)
    checkpoint = open_tf_v1(path)
    assert checkpoint.format == "tf-v1"
    assert_equal_tensors(checkpoint, {k: np.asarray(v) for k, v in tensors.items()})
    assert_equal_tensors(checkpoint, restored(path))


@pytest.mark.parity
def test_booleans_strings_and_names(tmp_path: Path) -> None:
    tensors = {
        "flags": np.array([[True, False], [False, False]]),
        "words": tf.constant(["", "a", "ünïcode ☃", b"\x00\xff", "long" * 500]),
        "word": tf.constant("alone"),
        "ü/κ/重み": np.float32(1),
        "a" * 3000: np.float32(2),
    }
    path = save(tmp_path / "x.ckpt", tensors)
    assert_equal_tensors(open_tf_v1(path), restored(path))


@pytest.mark.parity
def test_many_blocks(tmp_path: Path) -> None:
    tensors = {
        f"layer_{n}": RANDOM.standard_normal((100, n + 1)).astype(np.float32) for n in range(150)
    }
    path = save(tmp_path / "x.ckpt", tensors)
    assert path.stat().st_size > 4_000_000
    assert_equal_tensors(open_tf_v1(path), restored(path))


@pytest.mark.parity
def test_partitioned_variables_and_shards(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    for sharded in (False, True):
        with tf.Graph().as_default(), v1.Session() as session:
            v1.get_variable("table", (7, 8), partitioner=v1.fixed_size_partitioner(3))
            v1.get_variable("scope/plain", (2,))
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=sharded)
            path = saver.save(session, str(tmp_path / f"model_{sharded}.ckpt"))
        checkpoint = open_tf_v1(Path(path))
        assert checkpoint["table"].shape == (7, 8)
        assert_equal_tensors(checkpoint, restored(path))


def write_two_shards(folder: Path) -> np.ndarray:
    whole = RANDOM.standard_normal((6, 3))
    for number, rows in enumerate(["0,4:-", "4,2:-"]):
        start, count = (int(part) for part in rows.split(":")[0].split(","))
        tensors = {"whole": whole[start : start + count], f"own_{number}": np.int32(number)}
        save(folder / f"x.ckpt-{number:05d}-of-00002", tensors, [f"6 3 {rows}", ""])
    return whole


@pytest.mark.parametrize(
    "name", ["x.ckpt", "x.ckpt-00001-of-00002", "x.ckpt-?????-of-00002", "x.ckpt-00000-of-00002"]
)
@pytest.mark.parity
def test_a_variable_over_two_shards(tmp_path: Path, name: str) -> None:
    whole = write_two_shards(tmp_path)
    checkpoint = open_tf_v1(tmp_path / name)
    assert sorted(checkpoint) == ["own_0", "own_1", "whole"]
    np.testing.assert_array_equal(checkpoint["whole"].read(), whole)
    assert_equal_tensors(checkpoint, restored(tmp_path / "x.ckpt-?????-of-00002"))


def test_bfloat16_in_the_half_field(tmp_path: Path) -> None:
    # TensorFlow's V1 writer refuses bfloat16; converters that wrote it use the half field.
    values = np.array([1.5, -2, 0], ml_dtypes.bfloat16)
    packed = b"".join(tf_files.varint(int(bits)) for bits in values.view(np.uint16))
    part = tf_files.extents(None)
    stored = tf_files.v1_slice("v", part, tf_files.message(13, packed))
    entries = [
        tf_files.v1_list(tf_files.v1_tensor("v", 14, [3], part)),
        (b"\0v\0\x01\x01\x01\x80\x7f", stored),
    ]
    (tmp_path / "x").write_bytes(tf_files.table_of(entries).build())
    np.testing.assert_array_equal(open_tf_v1(tmp_path / "x")["v"].read(), values)
