"""safetensors headers, zip directories, NumPy headers and shard indexes that lie."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint, write_safetensors
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.numpy_files import open_npy, open_npz
from keras_pretrained.checkpoints.safetensors import open_safetensors
from keras_pretrained.checkpoints.zip_container import ZipContainer
from tests.attacks.attack import little_memory, refused
from tests.attacks.fuzzing.pickle_program import global_, integer, text
from tests.attacks.fuzzing.zip_parts import Part, packed


def safetensors_file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> Any:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


EIGHT = bytes(8)

HEADERS: dict[str, tuple[Any, bytes]] = {
    "not an object": (b"[1, 2]", b""),
    "not JSON": (b"{'x': 1}", b""),
    "cut JSON": (b'{"x": {"dtype"', b""),
    "not UTF-8": (b'{"\xff": 1}', b""),
    "a name twice": (
        b'{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"\0",
    ),
    "a key twice in an entry": (
        b'{"x":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}',
        b"\0",
    ),
    "nested without end": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
    "nested metadata": ({"__metadata__": {"a": {"b": "c"}}}, b""),
    "metadata is a list": ({"__metadata__": ["a"]}, b""),
    "metadata holds a number": ({"__metadata__": {"a": 1}}, b""),
    "NaN": (b'{"x":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', EIGHT),
    "integer of many digits": (
        b'{"x":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    "an entry is a number": ({"x": 3}, b""),
    "an entry lacks its shape": ({"x": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT),
    "an entry has more": ({"x": entry(more=1)}, EIGHT),
    "unknown dtype": ({"x": entry("F4")}, EIGHT),
    "dtype is a list": ({"x": entry(["F32"])}, EIGHT),
    "negative size": ({"x": entry(shape=[-2])}, EIGHT),
    "two negative sizes": ({"x": entry(shape=[-1, -2])}, EIGHT),
    "size is a boolean": ({"x": entry("F64", shape=[True])}, EIGHT),
    "size is a float": ({"x": entry(shape=[2.0])}, EIGHT),
    "size is a text": ({"x": entry(shape=["2"])}, EIGHT),
    "shape is a number": ({"x": entry(shape=2)}, EIGHT),
    "shape overflows to the right size": ({"x": entry("U8", [2**32, 2**32], [0, 0])}, b""),
    "shape overflows beside a zero": ({"x": entry("U8", [0, 2**62, 2**62], [0, 0])}, b""),
    "too many dimensions": ({"x": entry("F64", [1] * 40)}, EIGHT),
    "shape larger than the data": ({"x": entry(shape=[3])}, EIGHT),
    "offsets beyond the file": ({"x": entry(shape=[4], offsets=[0, 16])}, EIGHT),
    "offsets far beyond": ({"x": entry("U8", [2**40], [0, 2**40])}, EIGHT),
    "offsets backward": ({"x": entry(offsets=[8, 0])}, EIGHT),
    "offsets negative": ({"x": entry(offsets=[-8, 0])}, EIGHT),
    "offsets of one": ({"x": entry(offsets=[8])}, EIGHT),
    "offsets as text": ({"x": entry(offsets=["0", "8"])}, EIGHT),
    "tensors overlap": ({"x": entry(), "y": entry(shape=[1], offsets=[4, 8])}, EIGHT),
    "tensors are one": ({"x": entry(), "y": entry()}, EIGHT),
    "a hole before": ({"x": entry(shape=[1], offsets=[4, 8])}, EIGHT),
    "a hole between": (
        {"x": entry("U8", [1], [0, 1]), "y": entry("U8", [1], [7, 8])},
        EIGHT,
    ),
    "data behind": ({"x": entry(shape=[1], offsets=[0, 4])}, EIGHT),
    "data without tensors": ({}, EIGHT),
    "a boolean of 2": ({"x": entry("BOOL", [8])}, b"\0\1\0\1\2\0\0\0"),
}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_safetensors_headers(name: str, tmp_path: Path) -> None:
    header, data = HEADERS[name]
    path = safetensors_file(tmp_path / "x.safetensors", header, data)
    refused(path, open_file=open_safetensors)
    refused(path)


@pytest.mark.parametrize("length", [0, 1, 2**63, 2**64 - 1, 100_000_001, 1000])
def test_safetensors_header_lengths(length: int, tmp_path: Path) -> None:
    path = safetensors_file(tmp_path / "x.safetensors", {}, length=length)
    refused(path, open_file=open_safetensors)


def test_a_header_above_the_cap_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 200_000_000) + b"{")
        file.truncate(300_000_000)
    refused(path, open_file=open_safetensors, limit=1_000_000)


# Zip archives


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def array(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


ONE = archive(("x.npy", array(np.arange(4.0))))
TWO = archive(("x.npy", array(np.arange(4.0))), ("y.npy", array(np.arange(4.0))))
PACKED = archive(("x.npy", array(np.zeros(1000))), method=zipfile.ZIP_DEFLATED)


def changed(data: bytes, signature: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    """A copy with bytes replaced at an offset from the n-th occurrence of a signature."""
    start = -1
    for _ in range(which + 1):
        start = data.index(signature, start + 1)
    start += at
    return data[:start] + value + data[start + len(value) :]


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
U32 = "<I"

ZIPS = {
    "no directory": ONE[:-22],
    "cut directory": ONE[:-1],
    "data behind": ONE + b"x",
    "data before": b"x" * 64 + ONE,
    "another member count": changed(ONE, END, 8, b"\x02\x00\x02\x00"),
    "no member counted": changed(ONE, END, 8, b"\x00\x00\x00\x00"),
    "two disks": changed(ONE, END, 4, b"\x01\x00"),
    "directory elsewhere": changed(ONE, END, 16, struct.pack(U32, 0)),
    "directory beyond": changed(ONE, END, 16, struct.pack(U32, 2**31)),
    "directory is larger": changed(ONE, END, 12, struct.pack(U32, 2**31)),
    "comment is longer": changed(ONE, END, 20, b"\x05\x00"),
    "wide directory missing": changed(ONE, END, 16, b"\xff" * 4),
    "size is larger": changed(ONE, CENTRAL, 24, struct.pack(U32, 2**31)),
    "stored size is larger": changed(ONE, CENTRAL, 20, struct.pack(U32, 2**31)),
    "both sizes are larger": changed(ONE, CENTRAL, 20, struct.pack("<II", 2**30, 2**30)),
    "both sizes are smaller": changed(ONE, CENTRAL, 20, struct.pack("<II", 100, 100)),
    "wide size missing": changed(ONE, CENTRAL, 24, b"\xff" * 4),
    "header elsewhere": changed(ONE, CENTRAL, 42, struct.pack(U32, 7)),
    "header beyond": changed(ONE, CENTRAL, 42, struct.pack(U32, 2**31)),
    "method unknown": changed(ONE, CENTRAL, 10, b"\x63\x00"),
    "methods differ": changed(ONE, LOCAL, 8, b"\x08\x00"),
    "names differ": changed(ONE, LOCAL, 30, b"y.npy"),
    "encrypted": changed(ONE, CENTRAL, 8, b"\x01\x00"),
    "name is longer": changed(ONE, CENTRAL, 28, b"\xff\xff"),
    "members overlap": changed(TWO, CENTRAL, 42, struct.pack(U32, 0), 1),
    "one member twice": archive(("x.npy", array(np.ones(1))), ("z.npy", b"")).replace(
        b"z.npy", b"x.npy"
    ),
    "two members are one": changed(changed(TWO, CENTRAL, 46, b"x.npy", 1), LOCAL, 30, b"x.npy", 1),
    "absolute path": ONE.replace(b"x.npy", b"/.npy"),
    "parent path": archive(("../x.npy", array(np.ones(1)))),
    "hidden parent path": archive(("a/../../x.npy", array(np.ones(1)))),
    "other separator": ONE.replace(b"x.npy", b"\\.npy"),
    "zero in a name": ONE.replace(b"x.npy", b"x\0npy"),
    "empty name": archive(("", array(np.ones(1)))),
    "packed size lies a little": changed(PACKED, CENTRAL, 24, struct.pack(U32, 9000)),
    "packed size lies a lot": changed(PACKED, CENTRAL, 24, struct.pack(U32, 2**31 - 1)),
    "packed data is cut": changed(PACKED, CENTRAL, 20, struct.pack(U32, 10)),
    "packed data is broken": changed(PACKED, LOCAL, 35, b"\xff\xff\xff\xff"),
    "checksum of packed data": changed(PACKED, CENTRAL, 16, b"\0\0\0\0"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", sorted(ZIPS))
def test_zip_tricks(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(ZIPS[name])
    refused(path, open_file=open_npz)


def test_the_honest_archives_of_these_tricks_are_read(tmp_path: Path) -> None:
    for data, count in ((ONE, 1), (TWO, 2), (PACKED, 1)):
        (tmp_path / "x.npz").unlink(missing_ok=True)
        (tmp_path / "x.npz").write_bytes(data)
        checkpoint = open_npz(tmp_path / "x.npz")
        assert len(checkpoint) == count
        assert checkpoint["x"].read().shape in ((4,), (1000,))


def test_a_packed_bomb_allocates_nothing_when_it_is_opened(tmp_path: Path) -> None:
    """100 MB of zeros in 100 kB: what deflate can do. It is listed, and read only on demand."""
    size = 100_000_000
    header = npy(f"{{'descr':'<f8','fortran_order':False,'shape':({size // 8},)}}".encode())
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = header + bytes(size)
    raw = packer.compress(content) + packer.flush()
    name = b"x.npy"
    sizes = struct.pack("<III", zlib.crc32(content), len(raw), len(content))
    local = LOCAL + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", 5, 0) + name
    central = (
        CENTRAL
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0)
        + sizes
        + struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0)
        + name
    )
    end = END + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(raw), 0)
    (tmp_path / "x.npz").write_bytes(local + raw + central + end)
    with little_memory(2_000_000):
        checkpoint = open_npz(tmp_path / "x.npz")
    assert checkpoint["x"].nbytes == size


def test_a_bomb_among_the_members_that_are_read_at_once(tmp_path: Path) -> None:
    """The pickle of a torch file and the configuration of a Keras file are read when opened."""
    config = b'{"a":"' + b"x" * 200_000_000 + b'"}'
    for name, members in {
        "x.keras": (("config.json", config), ("model.weights.h5", b"")),
        "y.keras": (("config.json", b"{}"), ("model.weights.h5", config)),
    }.items():
        data = archive(*members, method=zipfile.ZIP_DEFLATED)
        (tmp_path / name).write_bytes(data)
        assert len(data) < 1_000_000
        refused(tmp_path / name, limit=20_000_000)


def test_a_bomb_among_the_storages(tmp_path: Path) -> None:
    """Each of many small tensors would unpack all of it, and keep it alive."""
    storage = (b"(" + text("storage") + global_("torch.ByteStorage") + text("0")) + (
        text("cpu") + integer(100_000_000) + b"tQ"
    )
    tensor = b"(" + storage + b"K\x00K\x04\x85K\x01\x85\x89}tR"
    pickled = b"\x80\x02}" + text("x") + global_("torch._utils._rebuild_tensor_v2") + tensor + b"s."
    data = archive(("a/data.pkl", pickled), ("a/data/0", bytes(100_000_000)), method=8)
    (tmp_path / "x.pth").write_bytes(data)
    refused(tmp_path / "x.pth", "as no weights do", limit=10_000_000)


def test_a_part_of_a_packed_member_does_not_keep_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(archive(("x", bytes(30_000_000)), method=8))
    container = ZipContainer(FileBytes(tmp_path / "x.zip"))
    tracemalloc.start()
    parts = [container.view(container["x"], n, (4,), np.dtype("u1")) for n in range(5)]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(parts) == 5
    assert held < 1_000_000


WIDE = packed([Part("x.npy", array(np.arange(4.0)), 0, {}, True)])
HUGE = 2**63

WIDE_ZIPS = {
    "size": packed([Part("x.npy", array(np.arange(4.0)), 0, {"size": HUGE}, True)]),
    "both sizes": packed(
        [Part("x.npy", array(np.arange(4.0)), 0, {"size": HUGE, "stored_size": HUGE}, True)]
    ),
    "packed size": packed([Part("x.npy", array(np.zeros(99)), 8, {"size": HUGE}, True)]),
    "offset": packed([Part("x.npy", array(np.arange(4.0)), 0, {"offset": HUGE}, True)]),
    "offset that wraps": packed(
        [Part("x.npy", array(np.arange(4.0)), 0, {"offset": 2**64 - 8}, True)]
    ),
    "directory offset": packed([Part("x.npy", b"", 0, {}, True)], 0, {"offset": HUGE}),
    "directory size": packed([Part("x.npy", b"", 0, {}, True)], 0, {"size": HUGE}),
    "member count": packed([Part("x.npy", b"", 0, {}, True)], 0, {"count": HUGE}),
    "record elsewhere": changed(WIDE, b"PK\x06\x07", 8, struct.pack("<Q", 0)),
    "record far away": changed(WIDE, b"PK\x06\x07", 8, struct.pack("<Q", HUGE)),
    "record is the locator": changed(
        WIDE, b"PK\x06\x07", 8, struct.pack("<Q", WIDE.index(b"PK\x06\x07"))
    ),
    "another count in the short record": changed(WIDE, END, 8, b"\x02\x00\x02\x00"),
    "several disks": changed(WIDE, b"PK\x06\x06", 16, b"\x01\x00\x00\x00"),
}


def test_the_honest_wide_archive_of_these_tricks_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(WIDE)
    np.testing.assert_array_equal(open_npz(tmp_path / "x.npz")["x"].read(), np.arange(4.0))


@pytest.mark.parametrize("name", sorted(WIDE_ZIPS))
def test_sizes_of_64_bits_that_lie(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(WIDE_ZIPS[name])
    refused(path, open_file=open_npz)


def test_a_directory_that_is_mostly_a_hole(tmp_path: Path) -> None:
    """A sparse file: the directory has a terabyte, none of it stored."""
    size = 1 << 40
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, size, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, size, 1)
    end = END + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        file.write(LOCAL)
        file.seek(size)
        file.write(record + locator + end)
    refused(path, "members in", limit=2_000_000)
    path.unlink()


def test_a_directory_of_too_many_members(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(changed(ONE, END, 8, b"\xff\xfe\xff\xfe"))
    with pytest.raises(CheckpointError):
        ZipContainer(FileBytes(path))


# NumPy headers


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    width = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(header).to_bytes(width, "little") + header + data


def described(descr: str = "'<f4'", order: str = "False", shape: str = "(2,)") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()


NPYS = {
    "code in the header": npy(b"__import__('os').system('touch pwned')", EIGHT),
    "code in the shape": npy(described(shape="(__import__('os').getpid(),)"), EIGHT),
    "nested": npy(b"(" * 9000, EIGHT),
    "nested shape": npy(described(shape="((((2,),),),)"), EIGHT),
    "header beyond the file": npy(described())[:40],
    "header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + described(),
    "future version": npy(described(), EIGHT, b"\x09\x00"),
    "shape is larger": npy(described(shape="(3,)"), EIGHT),
    "shape is smaller": npy(described(shape="(1,)"), EIGHT),
    "giant": npy(described(shape="(1000000000000,)"), EIGHT),
    "overflow": npy(described(shape="(4294967296, 4294967296)"), EIGHT),
    "overflow beside zero": npy(described(shape="(4611686018427387904, 4, 0)"), b""),
    "negative": npy(described(shape="(-2,)"), EIGHT),
    "many dimensions": npy(described(shape="(" + "1," * 100 + ")"), EIGHT[:4]),
    "many digits": npy(described(shape="(" + "9" * 5000 + ",)"), EIGHT),
    "records": npy(described("[('a', '<f4'), ('b', '<i4')]", shape="(1,)"), EIGHT),
    "subarray": npy(described("('<f4', (2,))", shape="(1,)"), EIGHT),
    "dates": npy(described("'<M8'", shape="(1,)"), EIGHT),
    "void": npy(described("'|V8'", shape="(1,)"), EIGHT),
    "texts of no size": npy(described("'|S0'", shape="(1000000000000,)")),
    "unknown dtype": npy(described("'<q9'"), EIGHT),
    "boolean of 2": npy(described("'|b1'", shape="(8,)"), b"\2" + bytes(7)),
    "objects": npy(described("'|O'", shape="()"), b"cposix\nsystem\n(S'touch pwned'\ntR."),
    "objects without pickle": npy(described("'|O'", shape="()"), b""),
    "no shape": npy(b"{'descr': '<f4', 'fortran_order': False, }", EIGHT),
    "a key twice": npy(b"{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", EIGHT),
}


@pytest.mark.parametrize("name", sorted(NPYS))
def test_numpy_headers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.npy"
    path.write_bytes(NPYS[name])
    refused(path, open_file=open_npy)
    packed = tmp_path / "x.npz"
    packed.write_bytes(archive(("x.npy", NPYS[name]), method=zipfile.ZIP_DEFLATED))
    refused(packed, open_file=open_npz)
    assert not (tmp_path / "pwned").exists()


# Indexes of shards


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "sub/x.safetensors",
        "..",
        ".",
        "",
        "..\\secret.safetensors",
        "C:secret.safetensors",
        "x\0.safetensors",
        "y" * 5000,
        None,
        ["x.safetensors"],
        {},
    ],
)
def test_shards_stay_in_their_folder(shard: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path / "secret.safetensors", folder / "sub" / "x.safetensors"):
        write_safetensors(place, {"x": np.ones(1, np.float32)})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": shard}}))
    refused(index)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"weight_map": []}', b'{"weight_map": {}}', b"\xff", b"[" * 100_000],
)
def test_indexes_that_are_none(content: bytes, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(content)
    refused(index)


def test_an_index_that_names_itself(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": index.name}}))
    refused(index)
    other = tmp_path / "other.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": other.name}}))
    other.write_text(json.dumps({"weight_map": {"x": index.name}}))
    refused(index)


def test_the_note_of_tensorflow_cannot_lead_outside(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("a.ckpt", "b.ckpt"):
        (folder / name).write_bytes(b"x")
    (folder / "checkpoint").write_text('model_checkpoint_path: "../../outside.ckpt"\n')
    with pytest.raises(CheckpointError, match="several checkpoints"):
        open_checkpoint(folder)
