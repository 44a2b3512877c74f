"""Pickles that try to run something, to lie about tensors, or to take all memory or time.

Every attack is delivered in both containers of torch, and most alone. None may leave a mark.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.pickled_numpy import NUMPY_GLOBALS
from keras_pretrained.checkpoints.pickled_state import flatten
from keras_pretrained.checkpoints.restricted_pickle import PLAIN_GLOBALS, load_pickle
from keras_pretrained.checkpoints.torch_files import open_torch
from keras_pretrained.checkpoints.torch_tensors import TORCH_GLOBALS
from tests.attacks.attack import little_memory, refused
from tests.attacks.fuzzing.pickle_program import global_, integer, text

HEAD = b"\x80\x02"


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that every code attack tries to make."""
    path = tmp_path / "pwned"
    yield path
    assert not path.exists()


def zip_file(path: Path, pickled: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in members.items():
            archive.writestr(f"archive/data/{key.removeprefix('s')}", data)
    return path


def stream_file(path: Path, pickled: bytes, **storages: bytes) -> Path:
    keys = [key.removeprefix("s") for key in storages]
    parts = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    parts += [pickled, pickle.dumps(keys, 2)]
    for data in storages.values():
        parts += [struct.pack("<q", len(data) // 4), data]
    path.write_bytes(b"".join(parts))
    return path


CONTAINERS = [zip_file, stream_file]


def code_attacks(marker: str) -> dict[str, bytes]:
    command = text(f"touch {marker}")
    source = text(f"open({marker!r}, 'w')")
    return {
        "os.system": global_("os.system") + command + b"\x85R.",
        "posix.system": global_("posix.system") + command + b"\x85R.",
        "subprocess": global_("subprocess.getoutput") + command + b"\x85R.",
        "eval": global_("builtins.eval") + source + b"\x85R.",
        "python 2 eval": global_("__builtin__.eval") + source + b"\x85R.",
        "exec": global_("builtins.exec") + source + b"\x85R.",
        "getattr chain": global_("builtins.getattr")
        + global_("collections.OrderedDict")
        + text("__init__")
        + b"\x86R.",
        "dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
        "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + command + b"\x85R.",
        "stack global of bytes": b"\x80\x04C\x02osC\x06system\x93.",
        "instance": b"(" + command + b"ios\nsystem\n.",
        "object": b"(" + global_("os.system") + command + b"o.",
        "new object": global_("subprocess.Popen") + command + b"\x85\x81.",
        "new object with keywords": b"\x80\x04"
        + global_("subprocess.Popen")
        + command
        + b"\x85}\x92.",
        "torch.load": global_("torch.load") + command + b"\x85R.",
        "torch.hub": global_("torch.hub.load") + command + b"\x85R.",
        "torch program": global_("torch.jit._pickle.build_intlist") + b"]\x85R.",
        "numpy loader": global_("numpy.load") + command + b"\x85R.",
        "numpy script": global_("numpy.testing._private.utils.runstring") + source + b"}\x86R.",
        "module": global_("importlib.import_module") + text("antigravity") + b"\x85R.",
        "webbrowser": global_("webbrowser.open") + command + b"\x85R.",
        "pickle again": global_("pickle.loads") + command + b"\x85R.",
        "codecs": global_("codecs.decode") + command + text("base64") + b"\x86R.",
        "breakpoint": global_("pdb.run") + source + b"\x85R.",
        "hidden in a key": b"}" + global_("os.system") + command + b"\x85RK\x01s.",
        "hidden in a persistent id": global_("os.system") + command + b"\x85RQ.",
        "never used": global_("os.system") + b"0}.",
        "copyreg": global_("copyreg._reconstructor")
        + global_("builtins.object")
        + global_("builtins.object")
        + b"N\x87R.",
        "copyreg of os": global_("copyreg.__newobj__") + global_("os.system") + command + b"\x86R.",
    }


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", sorted(code_attacks("")))
def test_nothing_is_run(name: str, container: object, tmp_path: Path, marker: Path) -> None:
    path = container(tmp_path / "evil.pth", code_attacks(str(marker))[name])  # type: ignore[operator]
    refused(path)


CALLS = {
    "allowed name, wrong arguments": global_("collections.OrderedDict") + b"K\x05\x85R.",
    "allowed name, no tuple": global_("collections.OrderedDict") + b"]R.",
    "encode into code": global_("_codecs.encode") + text("x") + text("punycode") + b"\x86R.",
    "bytes of a size": global_("builtins.bytes") + b"J\xff\xff\xff\x7f\x85R.",
    "bytearray of a size": global_("builtins.bytearray") + b"J\xff\xff\xff\x7f\x85R.",
    "a marker is called": global_("torch.FloatStorage") + b"J\xff\xff\xff\x7f\x85R.",
    "a dtype is called": global_("torch.float32") + b")R.",
    "a number is called": b"K\x05)R.",
    "text is called": text("x") + b")R.",
    "a list is called": b"])R.",
    "state of a function": global_("torch._utils._rebuild_tensor")
    + b"N}"
    + text("__code__")
    + b"Ns\x86b.",
    "state of a class": global_("collections.OrderedDict") + b"}" + text("x") + b"Nsb.",
    "state of a list": b"]}" + text("__class__") + b"Nsb.",
    "state of a number": b"K\x01}" + text("__class__") + b"Nsb.",
    "append to a dictionary": b"}K\x01a.",
    "extend a record": global_("argparse.Namespace") + b")R(K\x01e.",
    "set an item of a list": b"]K\x00K\x01s.",
    "add to a list": b"\x80\x04](K\x01\x90.",
    "extension 1": b"\x82\x01.",
    "extension 2": b"\x83\x01\x00.",
    "extension 4": b"\x84\x01\x00\x00\x00.",
    "out of band buffer": b"\x80\x05\x97.",
    "read only buffer": b"\x80\x05]\x98.",
    "persistent id as text": b"P../../etc/passwd\n.",
    "stub as function": global_("argparse.Namespace") + b")R)R.",
    "rebuild from a type": global_("torch._tensor._rebuild_from_type_v2")
    + global_("builtins.list")
    + global_("torch.Tensor")
    + b")}tR.",
    "rebuild itself": b"("
    + global_("torch._tensor._rebuild_from_type_v2")
    + global_("torch._tensor._rebuild_from_type_v2")
    + global_("torch.Tensor")
    + b")}tR.",
    "numpy objects": global_("numpy.core.multiarray._reconstruct")
    + global_("numpy.ndarray")
    + b"J\xff\xff\xff\x7f\x85"
    + text("b")
    + b"\x87R.",
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", sorted(CALLS))
def test_allowed_names_are_no_way_in(name: str, container: object, tmp_path: Path) -> None:
    refused(container(tmp_path / "evil.pth", HEAD + CALLS[name]))  # type: ignore[operator]


def test_the_extension_registry_is_not_consulted(tmp_path: Path, marker: Path) -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        content = HEAD + b"\x82\xf0" + text(f"touch {marker}") + b"\x85R."
        refused(zip_file(tmp_path / "evil.pth", content))
    finally:
        copyreg.remove_extension("os", "system", 240)


def test_special_attributes_of_a_record_are_plain_data(tmp_path: Path) -> None:
    state = b"}(" + b"".join(
        text(name) + text("x") for name in ("__class__", "__dict__", "set_state", "state")
    )
    content = HEAD + global_("argparse.Namespace") + b")\x81" + state + b"ub."
    checkpoint = open_torch(zip_file(tmp_path / "odd.pth", content))
    assert dict(checkpoint.metadata) == dict.fromkeys(
        ("__class__", "__dict__", "set_state", "state"), "x"
    )


# Tensors that lie


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(integer(value) for value in values) + b"t"


def storage(size: int = 4, key: bytes = b"", kind: str = "torch.FloatStorage") -> bytes:
    view = b"N"
    key = key or text("0")
    return b"(" + text("storage") + global_(kind) + key + text("cpu") + integer(size) + view + b"tQ"


def tensor(
    offset: int = 0,
    shape: tuple[int, ...] = (4,),
    strides: tuple[int, ...] = (1,),
    source: bytes | None = None,
) -> bytes:
    return (
        b"}"
        + text("x")
        + global_("torch._utils._rebuild_tensor_v2")
        + b"("
        + (storage() if source is None else source)
        + integer(offset)
        + numbers(shape)
        + numbers(strides)
        + b"\x89}tRs."
    )


FOUR = np.arange(4, dtype=np.float32).tobytes()
HUGE = 2**62

LIES = {
    "negative offset": tensor(offset=-1, shape=(2,)),
    "offset beyond": tensor(offset=1),
    "offset far beyond": tensor(offset=HUGE, shape=(1,)),
    "offset of an empty tensor": tensor(offset=5, shape=(0,)),
    "more elements": tensor(shape=(5,)),
    "giant": tensor(shape=(2**40,)),
    "overflowing": tensor(shape=(2**32, 2**32), strides=(1, 1)),
    "overflowing with zero": tensor(shape=(2**62, 2**62, 0), strides=(1, 1, 1)),
    "negative size": tensor(shape=(-4,)),
    "stride beyond": tensor(shape=(4,), strides=(2,)),
    "giant stride": tensor(shape=(2,), strides=(HUGE,)),
    "negative stride": tensor(offset=3, strides=(-1,)),
    "repeated by stride 0": tensor(shape=(10**6, 4), strides=(0, 1)),
    "too few strides": tensor(shape=(2, 2), strides=(1,)),
    "too many dimensions": tensor(shape=(1,) * 40, strides=(1,) * 40),
    "storage larger than stored": tensor(source=storage(size=5)),
    "storage smaller than stored": tensor(shape=(3,), source=storage(size=3)),
    "giant storage": tensor(source=storage(size=2**58)),
    "negative storage": tensor(source=storage(size=-4)),
    "storage of another type": tensor(source=storage(kind="torch.DoubleStorage")),
    "no storage type": tensor(source=storage(kind="collections.OrderedDict")),
    "missing storage": tensor(source=storage(key=text("7"))),
    "storage key with a path": tensor(source=storage(key=text("../data.pkl"))),
    "storage key is a list": tensor(source=storage(key=b"]")),
    "no storage": tensor(source=b"N"),
    "a tensor of a tensor": b"}"
    + text("x")
    + global_("torch._utils._rebuild_parameter")
    + b"]\x89}\x87Rs.",
    "identifier is no tuple": text("storage") + b"Q.",
    "identifier is short": text("storage") + b"\x85Q.",
    "identifier is another": b"(" + text("file") + b"NNNNtQ.",
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", sorted(LIES))
def test_tensors_stay_inside_their_storage(name: str, container: object, tmp_path: Path) -> None:
    path = container(tmp_path / "lies.pth", HEAD + LIES[name], s0=FOUR)  # type: ignore[operator]
    refused(path)


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_honest_tensor_of_these_lies_is_read(container: object, tmp_path: Path) -> None:
    path = container(tmp_path / "a.pth", HEAD + tensor(), s0=FOUR)  # type: ignore[operator]
    np.testing.assert_array_equal(open_torch(path)["x"].read(), [0, 1, 2, 3])


@pytest.mark.parametrize("view", [(0, 5), (-1, 2), (4, 1), (2**60, 1), (1,), "text"])
def test_storage_views_stay_inside(view: object, tmp_path: Path) -> None:
    described = b"(" + text("1")
    described += b"".join(integer(n) for n in view) if isinstance(view, tuple) else b"N"
    source = storage()[: -len(b"NtQ")] + described + b"ttQ"
    refused(stream_file(tmp_path / "view.pth", HEAD + tensor(shape=(1,), source=source), s0=FOUR))


@pytest.mark.parametrize("count", [0, 3, 5, 2**60, -1])
def test_the_stream_may_not_announce_other_sizes(count: int, tmp_path: Path) -> None:
    path = stream_file(tmp_path / "a.pth", HEAD + tensor(), s0=FOUR)
    data = path.read_bytes()
    path.write_bytes(data[: -len(FOUR) - 8] + struct.pack("<q", count) + FOUR)
    refused(path)


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["1"], ["0", "1"], "0", [["0"]], {"0": 1}])
def test_the_stream_may_not_list_other_storages(keys: object, tmp_path: Path) -> None:
    parts = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    parts += [HEAD + tensor(), pickle.dumps(keys, 2), struct.pack("<q", 4), FOUR]
    (tmp_path / "a.pth").write_bytes(b"".join(parts))
    refused(tmp_path / "a.pth")


# Bombs


def nested_tuples(levels: int) -> bytes:
    """A tuple that holds the one before twice: its text or hash takes 2**levels steps."""
    return HEAD + b")" + b"q\x00h\x00\x86" * levels


BOMBS = {
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "long bytes of 32 bits": b"\x80\x03B" + struct.pack("<I", 2**32 - 1) + b"x.",
    "long bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "long text": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "long old text": b"T" + struct.pack("<i", 2**31 - 1) + b"x.",
    "negative old text": b"T" + struct.pack("<i", -1) + b"x.",
    "long integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "negative long integer": b"\x80\x02\x8b" + struct.pack("<i", -5) + b"x.",
    "integer of many digits": b"L" + b"9" * 4000 + b"L\n.",
    "line without end": b"I" + b"1" * 100_000,
    "frame beyond the end": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
    "memo far away": b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b"j\xfe\xff\xff\xff.",
    "memo unknown": b"h\x07.",
    "negative memo": b"Np-1\n.",
    "empty stack": b"R.",
    "only stop": b".",
    "no stop": b"N",
    "unknown opcode": b"\xff.",
    "future protocol": b"\x80\x09N.",
    "mark taken twice": b"(tt.",
    "values below the mark": b"NN(\x86.",
    "marks without end": b"(" * 100_000,
    "nested lists": b"]" * 300_000 + b"a" * 299_999 + b".",
    "nested tuples": nested_tuples(60) + b".",
    "nested tuple as a key": HEAD + b"}" + nested_tuples(60)[2:] + b"Ns.",
    "colliding keys": HEAD
    + b"}("
    + b"".join(integer(n * (2**61 - 1)) + b"N" for n in range(2000))
    + b"u.",
    "a list in itself": HEAD + b"]q\x00h\x00a.",
    "a dictionary in itself": HEAD + b"}q\x00" + text("x") + b"h\x00s.",
    "a record in itself": HEAD
    + global_("argparse.Namespace")
    + b")Rq\x00}"
    + text("x")
    + b"h\x00sb.",
    "copies of a long list": HEAD
    + b"]q\x00("
    + b"N" * 100_000
    + b"e0"
    + b"]("
    + (global_("builtins.list") + b"h\x00\x85R") * 3000
    + b"e.",
    "encodings of a long text": HEAD
    + text("x" * 1_000_000)
    + b"q\x000"
    + (global_("_codecs.encode") + b"q\x010" + text("latin1") + b"q\x020")
    + b"]("
    + b"h\x01h\x00h\x02\x86R" * 300
    + b"e.",
    "states of a long dictionary": HEAD
    + b"}q\x00("
    + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(50_000))
    + b"u0]("
    + (global_("argparse.Namespace") + b")Rh\x00b") * 1000
    + b"e.",
    "calls with a long tuple": HEAD
    + b"("
    + b"N" * 100_000
    + b"tq\x000"
    + (global_("argparse.Namespace") + b"q\x010](")
    + b"h\x01h\x00R" * 100_000
    + b"e.",
    "states of a long tuple": HEAD
    + b"("
    + b"N" * 100_000
    + b"tq\x000"
    + (global_("argparse.Namespace") + b"q\x010](")
    + b"h\x01)Rh\x00b" * 100_000
    + b"e.",
    "colliding memo": HEAD
    + b"N"
    + b"".join(b"p%d\n" % (n * (2**61 - 1)) for n in range(1, 40_000))
    + b".",
    "a long key above many values": HEAD
    + (b"}" + text("k" * 500_000) + b"}(")
    + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(100_000))
    + b"us.",
    "many containers": HEAD + b"](" + b"}" * 500_000 + b"e.",
    "many sets": b"\x80\x04](" + b"\x8f" * 500_000 + b"e.",
    "many remembered": b"\x80\x04N" + b"\x94" * 1_000_000 + b".",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_are_bounded(name: str, tmp_path: Path) -> None:
    start = time.monotonic()
    size = len(BOMBS[name])
    # The machine's budget: 32 MB and some 90 times the pickle; and the walk over what it made.
    path = zip_file(tmp_path / "bomb.pth", BOMBS[name])
    refused(path, limit=100_000_000 + 100 * size)
    assert time.monotonic() - start < 30


def test_lists_that_share_their_parts_are_not_walked_without_end() -> None:
    content = HEAD + b"N\x85" + b"q\x00]q\x01(h\x00h\x00h\x00e" * 40 + b"."
    with little_memory(100_000_000), pytest.raises(CheckpointError, match="no checkpoint"):
        flatten(load_pickle(content, "a test")[0], "a test")


def test_an_error_about_a_nested_value_is_short() -> None:
    """`str()` of the value would have 2**60 characters."""
    content = nested_tuples(60) + b"Q."
    with little_memory(1_000_000), pytest.raises(CheckpointError) as info:
        load_pickle(content, "x", allowed=TORCH_GLOBALS, persistent_load=_describe)
    assert len(str(info.value)) < 500


def _describe(identifier: object) -> object:
    from keras_pretrained.checkpoints.torch_tensors import storage_from_id

    return storage_from_id(identifier)


@pytest.mark.parametrize(
    ("shape", "code", "data"),
    [
        ((2**40,), "f4", b"\0" * 8),
        ((-1,), "f4", b"\0" * 8),
        ((1,), "f4", b""),
        ((2,), "f4", b"\0" * 9),
        ((2**62, 4), "f4", b""),
        ((1,), "O8", [1, 2]),
        ((1,), "V8", b"\0" * 8),
        ((1,), "S99999999999", b""),
        ((1,), "f4,i4", b"\0" * 8),
        ((1,), "M8[ns]", b"\0" * 8),
        ((1,), "(2,)f4", b"\0" * 8),
    ],
)
def test_numpy_arrays_that_lie(shape: tuple[int, ...], code: str, data: object) -> None:
    stream = io.BytesIO()
    stream.write(HEAD + global_("numpy.core.multiarray._reconstruct") + global_("numpy.ndarray"))
    stream.write(b"K\x00\x85" + text("b") + b"\x87R(K\x01" + numbers(shape))
    stream.write(global_("numpy.dtype") + text(code) + b"\x89\x88\x87R\x89")
    stream.write(pickle.dumps(data, 2)[2:-1] + b"tb.")
    allowed = {**PLAIN_GLOBALS, **NUMPY_GLOBALS}
    with little_memory(1_000_000), pytest.raises(CheckpointError):
        load_pickle(stream.getvalue(), "x", allowed=allowed)
