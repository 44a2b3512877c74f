"""The restricted unpickler against Python's own, on what a checkpoint may hold."""

from __future__ import annotations

import argparse
import collections
import pickle
from typing import Any

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.pickled_numpy import NUMPY_GLOBALS, PickledArray
from keras_pretrained.checkpoints.restricted_pickle import PLAIN_GLOBALS, Record, load_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

VALUES: list[Any] = [
    None,
    True,
    [0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**63, -(2**70), 10**30],
    [0.0, -0.5, 1e300, float("inf")],
    ["", "a", "é", "名前", "x" * 300, "line\nbreak"],
    [b"", b"\x00\xff", b"y" * 300],
    [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1,), [2])],
    {"a": 1, 2: "b", None: 3.5, b"k": [], ("x", "y"): 1, True: 0},
    {"nested": {"deeper": [{"list": [1, [2, [3]]]}]}},
    [{1, 2}, set(), frozenset(["a"])],
    [str(i) for i in range(3000)],
    {i: [i] for i in range(3000)},
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("index", range(len(VALUES)))
def test_plain_values_are_those_of_pickle(index: int, protocol: int) -> None:
    value = VALUES[index]
    data = pickle.dumps(value, protocol)
    found, end = load_pickle(data, "a test")
    assert found == pickle.loads(data) == value
    assert end == len(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_subclasses_become_their_plain_base(protocol: int) -> None:
    value = {
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "default": collections.defaultdict(dict, {"x": {}}),
        "counter": collections.Counter("aab"),
        "bytearray": bytearray(b"\x00z"),
    }
    found, _ = load_pickle(pickle.dumps(value, protocol), "a test")
    assert found == {
        "ordered": {"b": 1, "a": 2},
        "default": {"x": {}},
        "counter": {"a": 2, "b": 1},
        "bytearray": b"\x00z",
    }
    assert list(found["ordered"]) == ["b", "a"]
    assert {type(part) for part in found.values()} == {dict, bytes}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_namespace_becomes_a_record(protocol: int) -> None:
    value = [argparse.Namespace(lr=0.1, layers=[1])] * 2
    found, _ = load_pickle(pickle.dumps(value, protocol), "a test")
    assert type(found[0]) is Record
    assert found[0].name == "argparse.Namespace"
    assert found[0].state == {"lr": 0.1, "layers": [1]}
    assert found[0] is found[1]


def test_sharing_and_cycles_are_kept() -> None:
    inner: list[Any] = [1]
    outer = [inner, inner]
    inner.append(outer)
    found, _ = load_pickle(pickle.dumps(outer), "a test")
    assert found[0] is found[1]
    assert found[0][1] is found


def test_a_pickle_inside_a_longer_buffer() -> None:
    first, second = pickle.dumps([1], 2), pickle.dumps("two", 4)
    buffer = b"head" + first + second + b"tail"
    found, position = load_pickle(buffer, "a test", offset=4)
    assert found == [1]
    assert load_pickle(buffer, "a test", offset=position)[0] == "two"


def test_text_of_python_2() -> None:
    """`str` was bytes: torch's files of 2017 hold names in it, NumPy's hold raw data."""
    assert load_pickle(b"U\x03abc.", "a test")[0] == "abc"
    assert load_pickle(b"T\x02\x00\x00\x00\xc3\xa9.", "a test")[0] == "é"
    assert load_pickle(b"U\x02\xff\xfe.", "a test")[0] == b"\xff\xfe"
    assert load_pickle(b"S'abc'\n.", "a test")[0] == "abc"
    assert load_pickle(b"Vabc\\u00e9\n.", "a test")[0] == "abcé"
    assert load_pickle(b"I01\n.", "a test")[0] is True
    assert load_pickle(b"L12L\n.", "a test")[0] == 12


NUMPY = {**PLAIN_GLOBALS, **NUMPY_GLOBALS}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", ["<f4", ">f4", "<f8", "<i8", "u1", "?", "<f2", "<c8", "S3"])
def test_numpy_arrays(code: str, protocol: int) -> None:
    value = np.arange(12).reshape(3, 4).astype(code)
    for array in (value, np.asfortranarray(value), value[:, :1], value[:0]):
        found, _ = load_pickle(pickle.dumps(array, protocol), "a test", allowed=NUMPY)
        assert isinstance(found, PickledArray)
        assert found.array is not None
        np.testing.assert_array_equal(found.array, array)
        assert found.array.dtype.isnative
        assert not found.array.flags.writeable


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars(protocol: int) -> None:
    value = [np.float64(1.5), np.int32(-3), np.bool_(True), np.float32(0.25)]
    found, _ = load_pickle(pickle.dumps(value, protocol), "a test", allowed=NUMPY)
    assert found == value
    assert [type(part) for part in found] == [float, int, bool, float]


def test_stubs_are_inert() -> None:
    data = b"\x80\x02cflair.data\nDictionary\n)\x81}X\x01\x00\x00\x00nK\x05sb."
    with pytest.raises(CheckpointError, match=r"'flair\.data\.Dictionary'"):
        load_pickle(data, "a test")
    found, _ = load_pickle(data, "a test", stubs=["flair.data.Dictionary"])
    assert found.name == "flair.data.Dictionary"
    assert found.state == {"n": 5}


def test_an_error_names_the_place_and_the_global() -> None:
    with pytest.raises(CheckpointError) as info:
        load_pickle(b"cposix\nsystem\n.", "'x.pth'")
    assert "'x.pth'" in str(info.value)
    assert "'posix.system'" in str(info.value)
    assert "Nothing was run" in str(info.value)
