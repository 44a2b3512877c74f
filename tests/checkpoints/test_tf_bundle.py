"""V2 checkpoints against TensorFlow's reader."""

from __future__ import annotations

import mmap
import tarfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints.tf_bundle import open_tf_bundle, verify_bundle
from tests.checkpoints.tf_oracle import FIXTURES, assert_equal_tensors, tensorflow_tensors

tf = pytest.importorskip("tensorflow")

RANDOM = np.random.default_rng(7)

NUMBERS = [
    np.float32,
    np.float64,
    np.float16,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.complex64,
    np.complex128,
]


def save(prefix: Path, tensors: dict[str, object], slices: list[str] | None = None) -> Path:
    values = [tf.convert_to_tensor(value) for value in tensors.values()]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=slices or [""] * len(tensors),
        tensors=values,
    )
    return prefix


def assert_same(prefix: Path) -> None:
    assert_equal_tensors(open_tf_bundle(prefix), tensorflow_tensors(prefix))


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parity
def test_numbers_of_every_type(tmp_path: Path, dtype: type) -> None:
    values = (RANDOM.standard_normal((3, 4)) * 50).astype(dtype)
    # The single byte in front leaves the next tensors unaligned in the data file.
    tensors = {"a": np.uint8(3), "matrix": values, "scalar": values[0, 0], "empty": values[:0]}
    prefix = save(tmp_path / "x.ckpt", tensors)
    assert_same(prefix)
    assert open_tf_bundle(prefix)["matrix"].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(open_tf_bundle(prefix)["matrix"].read(), values)


@pytest.mark.parity
def test_booleans_strings_and_quantised(tmp_path: Path) -> None:
    words = ["", "a", "ünïcode ☃", "long" * 5000, b"\x00\xff\x80"]
    tensors = {
        "flags": np.array([[True, False], [False, False]]),
        "words": tf.constant(words),
        "grid": tf.constant([["a", "b"], ["c", "d"]]),
        "word": tf.constant("alone"),
        "none": tf.constant([], tf.string),
        "quantised": tf.constant([-3, 5], tf.qint8),
    }
    prefix = save(tmp_path / "x.ckpt", tensors)
    checkpoint = open_tf_bundle(prefix)
    assert checkpoint["words"].read().tolist() == [
        word if isinstance(word, bytes) else word.encode() for word in words
    ]
    assert checkpoint["grid"].read().tolist() == [[b"a", b"b"], [b"c", b"d"]]
    assert checkpoint["quantised"].read().tolist() == [-3, 5]
    expected = tensorflow_tensors(prefix) | {"quantised": np.array([-3, 5], np.int8)}
    assert_equal_tensors(checkpoint, expected)


@pytest.mark.parity
def test_names_of_every_script(tmp_path: Path) -> None:
    names = ["ü/κ/重み", "a" * 3000, "a b:c;d", "x/.ATTRIBUTES", "z\x7f"]
    assert_same(save(tmp_path / "名前 1.ckpt", {name: np.float32(1) for name in names}))


@pytest.mark.parity
def test_an_index_of_several_blocks(tmp_path: Path) -> None:
    tensors = {f"{n * 7919 % 100_003:020d}/layer_{n}": np.int32(n) for n in range(9000)}
    prefix = save(tmp_path / "x.ckpt", tensors)
    assert prefix.with_name("x.ckpt.index").stat().st_size > 262_144
    assert_same(prefix)


@pytest.mark.parity
def test_partitioned_variables(tmp_path: Path) -> None:
    rows = RANDOM.standard_normal((10, 4)).astype(np.float32)
    # Two axes, three pieces of unequal size; TensorFlow reads "start,length" a dimension.
    tensors = [rows[:6, :3], rows[:6, 3:], rows[6:]]
    slices = ["10 4 0,6:0,3", "10 4 0,6:3,1", "10 4 6,4:-"]
    words = tf.constant(["a", "bc", "", "def"])
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "x.ckpt"),
        tensor_names=["rows", "rows", "rows", "words", "words", "\x00whole\x00"],
        shape_and_slices=[*slices, "4 0,1", "4 1,3", ""],
        tensors=[*tensors, words[:1], words[1:], tf.constant(5)],
    )
    checkpoint = open_tf_bundle(tmp_path / "x.ckpt")
    np.testing.assert_array_equal(checkpoint["rows"].read(), rows)
    assert checkpoint["words"].read().tolist() == [b"a", b"bc", b"", b"def"]
    assert verify_bundle(tmp_path / "x.ckpt") == []


@pytest.mark.parametrize("start", [0, 63, 64, 8191, 8192, 1 << 20])
@pytest.mark.parity
def test_slice_keys_of_all_lengths(tmp_path: Path, start: int) -> None:
    values = RANDOM.integers(0, 256, start + 70, dtype=np.uint8)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "x"),
        tensor_names=["v"] * (2 if start else 1),
        shape_and_slices=[f"{start + 70} 0,{start}", f"{start + 70} {start},70"][start == 0 :],
        tensors=[values[:start], values[start:]][start == 0 :],
    )
    assert_same(tmp_path / "x")


@pytest.mark.parity
def test_partitioner_and_saver_of_tf1(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        partitioner = v1.fixed_size_partitioner(3, axis=1)
        v1.get_variable("table", (5, 8), partitioner=partitioner)
        v1.get_variable("scope/plain", (2,))
        session.run(v1.global_variables_initializer())
        v1.train.Saver(sharded=True).save(session, str(tmp_path / "model.ckpt"))
    prefix = tmp_path / "model.ckpt"
    assert open_tf_bundle(prefix)["table"].shape == (5, 8)
    assert_same(prefix)


@pytest.mark.parity
def test_several_shards(tmp_path: Path) -> None:
    parts = []
    for number in range(3):
        tensors = {f"v{number}_{n}": RANDOM.standard_normal(n + 1) for n in range(5)}
        parts.append(str(save(tmp_path / f"part{number}", tensors)))
    target = tmp_path / "merged.ckpt"
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(target))
    checkpoint = open_tf_bundle(target)
    assert checkpoint.metadata["shards"] == 3
    assert_same(target)
    for path in [
        target,
        tmp_path / "merged.ckpt.index",
        tmp_path / "merged.ckpt.data-00001-of-00003",
    ]:
        assert sorted(open_tf_bundle(path)) == sorted(checkpoint)


@pytest.mark.parity
def test_object_based_checkpoint(tmp_path: Path) -> None:
    class Block(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones((2, 2)), name="dense/kernel")
            self.items = [tf.Variable(1), tf.Variable(2.0, name="dotted")]

    root = tf.train.Checkpoint(**{"model": Block(), "step": tf.Variable(3, name="global_step")})
    prefix = Path(root.save(str(tmp_path / "ckpt")))
    checkpoint = open_tf_bundle(prefix)
    assert_same(prefix)
    assert checkpoint.metadata["object_based"]
    assert set(checkpoint) >= {"model/kernel", "model/items/0", "step", "save_counter"}
    assert checkpoint.metadata["friendly_names"]["model/kernel"] == "dense/kernel"
    assert checkpoint.metadata["friendly_names"]["step"] == "global_step"


def test_arrays_are_views_into_the_file(tmp_path: Path) -> None:
    prefix = save(tmp_path / "x.ckpt", {"v": np.zeros((1000, 1000), np.float32)})
    array = open_tf_bundle(prefix)["v"].read()
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap | memoryview)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_verify_names_the_damaged_tensors(tmp_path: Path) -> None:
    tensors = {
        "a": np.arange(1000.0),
        "b": np.zeros(3, np.int8),
        "c": tf.constant(["some", "strings"]),
        "d": np.float32(1),
        "e": np.zeros(0),
    }
    prefix = save(tmp_path / "x.ckpt", tensors)
    assert verify_bundle(prefix) == []
    data = tmp_path / "x.ckpt.data-00000-of-00001"
    stored = bytearray(data.read_bytes())
    stored[777] ^= 1
    data.write_bytes(stored)
    assert verify_bundle(prefix) == ["a"]
    stored[stored.index(b"strings")] ^= 1
    data.write_bytes(stored)
    assert verify_bundle(prefix) == ["a", "c"]


def test_variants_are_listed_apart(tmp_path: Path) -> None:
    variant = tf.raw_ops.EmptyTensorList(
        element_shape=[2], max_num_elements=3, element_dtype=tf.float32
    )
    prefix = tmp_path / "x.ckpt"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["list", "w"],
        shape_and_slices=["", ""],
        tensors=[variant, tf.constant(2.0)],
    )
    checkpoint = open_tf_bundle(prefix)
    assert list(checkpoint) == ["w"]
    assert checkpoint.metadata["unreadable"] == {"list": "variant"}


@pytest.mark.parametrize(
    "name",
    [
        "bert/toy_checkpoint/bert_model.ckpt",
        "gpt2/toy_checkpoint/model.ckpt",
        "transformer_xl/div_1/model.ckpt",
        "transformer_xl/div_2/model.ckpt",
        "xlnet/tune/xlnet_model.ckpt",
    ],
)
@pytest.mark.parity
def test_published_checkpoints(name: str) -> None:
    prefix = FIXTURES / name
    if not prefix.with_name(prefix.name + ".index").exists():
        pytest.skip(f"absent: {name}")
    assert len(open_tf_bundle(prefix)) > 10
    assert_same(prefix)
    assert verify_bundle(prefix) == []


@pytest.mark.parity
def test_published_mobilenet(tmp_path: Path) -> None:
    archive = FIXTURES / "mobilenet_v1_0.25_real" / "mobilenet_v1_0.25_224.tgz"
    if not archive.exists():
        pytest.skip("absent: mobilenet_v1_0.25_224.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (index,) = tmp_path.rglob("*.ckpt.index")
    assert "MobilenetV1/Conv2d_0/weights" in open_tf_bundle(index)
    assert_same(index.with_suffix(""))
    assert verify_bundle(index) == []
