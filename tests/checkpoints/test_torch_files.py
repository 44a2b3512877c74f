"""torch files against values that torch itself gave (goldens/make_torch_files.py)."""

from __future__ import annotations

import io
import json
import pickle
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint
from keras_pretrained.checkpoints.torch_files import open_torch

GOLDENS = Path(__file__).parents[1] / "goldens" / "torch_files"
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
FILES = sorted(path.stem for path in GOLDENS.glob("*.pth"))


def expected(stem: str) -> dict[str, np.ndarray]:
    name = stem.removesuffix("_legacy")
    types = json.loads((GOLDENS / "golden.json").read_text())["dtypes"]
    values = {}
    with np.load(GOLDENS / "expected.npz") as stored:
        for key in stored.files:
            if key.split("/")[0] == name:
                array = stored[key]
                if types[key].startswith(("bfloat", "float8")):
                    array = array.view(getattr(ml_dtypes, types[key]))
                values[key.split("/", 1)[1]] = array
    return values


@pytest.mark.parity
@pytest.mark.parametrize("stem", FILES)
def test_values_are_those_of_torch(stem: str) -> None:
    checkpoint = open_checkpoint(GOLDENS / f"{stem}.pth")
    values = expected(stem)
    assert set(checkpoint) == set(values)
    assert checkpoint.format == ("torch-legacy" if stem.endswith("_legacy") else "torch-zip")
    for name, value in values.items():
        read = checkpoint[name].read()
        assert (read.dtype, read.shape) == (value.dtype, value.shape), name
        assert read.tobytes() == value.tobytes(), name
        assert not read.flags.writeable


def test_all_goldens_are_there() -> None:
    assert len(FILES) == 9


def test_tensors_that_share_a_storage_share_memory() -> None:
    checkpoint = open_torch(GOLDENS / "layouts.pth")
    whole, tail = checkpoint["whole"].read(), checkpoint["tail"].read()
    assert np.shares_memory(whole, tail)
    assert not np.shares_memory(whole, checkpoint["contiguous"].read())


@pytest.mark.parametrize("stem", ["nested", "nested_legacy"])
def test_settings_of_a_training_checkpoint_are_metadata(stem: str) -> None:
    metadata = open_torch(GOLDENS / f"{stem}.pth").metadata
    assert metadata["epoch"] == 3
    assert metadata["best"] == 91.25
    assert metadata["arch"] == "tiny"
    assert metadata["done"] is None
    assert metadata["args.lr"] == 0.1
    assert metadata["args.layers"] == [1, 2]
    assert metadata["size"] == [2, 3]
    assert metadata["dtype"] == "torch.float32"
    assert metadata["raw"] == b"\x00\xff"
    assert metadata["optimizer.param_groups.0.lr"] == 0.5


def test_torch_is_not_imported() -> None:
    open_torch(GOLDENS / "nested.pth")
    assert "torch" not in sys.modules


@pytest.mark.parity
def test_a_real_trained_network_in_the_old_stream() -> None:
    path = FIXTURES / "torch_pickle" / "resnet20-12fca82f.th"
    if not path.exists():
        pytest.skip(f"absent: {path.name}")
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == "torch-legacy"
    assert round(checkpoint.metadata["best_prec1"], 2) == 91.78
    weights = [a for name, a in checkpoint.items() if "num_batches" not in name]
    # 0.27 million parameters, as the paper counts them, and the running statistics.
    assert 268_000 < sum(a.size for a in weights) < 276_000
    variances = [a.read() for name, a in checkpoint.items() if name.endswith("running_var")]
    assert len(variances) == 19
    assert all((v > 0).all() for v in variances)


@pytest.mark.parity
def test_a_real_zip_holds_the_values_of_its_recipe() -> None:
    path = FIXTURES / "torch_pickle" / "squeezenet1_1_zip.pth"
    recipe = FIXTURES / "torchvision" / "values.py"
    if not path.exists() or not recipe.exists():
        pytest.skip(f"absent: {path.name}")
    value = runpy.run_path(str(recipe))["value"]
    scales = json.loads((recipe.parent / "squeezenet1_1" / "scalars.json").read_text())
    shapes = json.loads((recipe.parent / "squeezenet1_1" / "vars.json").read_text())
    checkpoint = open_checkpoint(path)
    assert list(checkpoint) == [name for name, _ in shapes]
    for name, shape in shapes:
        expected = value(name, tuple(shape), scales.get(name, 1.0))
        np.testing.assert_array_equal(checkpoint[name].read(), expected)


def test_big_endian_files_are_swapped(tmp_path: Path) -> None:
    source = zipfile.ZipFile(GOLDENS / "dtypes.pth")
    types = json.loads((GOLDENS / "golden.json").read_text())["dtypes"]
    swapped = tmp_path / "dtypes.pth"
    order = [f"data/{index}" for index in range(len(expected("dtypes")))]
    values = expected("dtypes")
    widths = {
        f"dtypes/data/{index}": value.dtype.itemsize // (2 if value.dtype.kind == "c" else 1)
        for index, value in enumerate(values.values())
    }
    assert len(widths) == len(order) == len([key for key in types if key.startswith("dtypes/")])
    with zipfile.ZipFile(swapped, "w") as target:
        for member in source.namelist():
            data = source.read(member)
            if member.endswith("byteorder"):
                data = b"big"
            elif member in widths:
                data = np.frombuffer(data, f"u{widths[member]}").byteswap().tobytes()
            target.writestr(member, data)
    checkpoint = open_torch(swapped)
    for name, value in values.items():
        assert checkpoint[name].read().tobytes() == value.tobytes(), name


def test_a_packed_zip_is_read_too(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(GOLDENS / "nested.pth") as source,
        zipfile.ZipFile(tmp_path / "n.pth", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            target.writestr(member, source.read(member))
    checkpoint = open_torch(tmp_path / "n.pth")
    for name, value in expected("nested").items():
        assert checkpoint[name].read().tobytes() == value.tobytes(), name


class Storage:
    """Stands for a storage in a pickle that a test writes."""

    def __init__(self, *identifier: object) -> None:
        self.identifier = identifier


class Named:
    """Pickles as a global of any name, without that module."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None: ...


class Writer(pickle._Pickler):  # type: ignore[name-defined]
    """Writes what torch writes, for layouts that today's torch no longer makes."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def persistent_id(self, value: object) -> object:
        return value.identifier if isinstance(value, Storage) else None

    def save_named(self, value: Named) -> None:
        self.write(b"c" + f"{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    dispatch[Named] = save_named


class Call:
    def __init__(self, function: Named, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> object:
        return self.function, self.arguments


def dumps(value: object) -> bytes:
    stream = io.BytesIO()
    Writer(stream, 2).dump(value)
    return stream.getvalue()


FLOAT = Named("torch", "FloatStorage")
REBUILD = Named("torch._utils", "_rebuild_tensor")


def stream(value: object, storages: dict[str, np.ndarray]) -> bytes:
    parts = [dumps(0x1950A86A20F9469CFC6C), dumps(1001), dumps({"little_endian": True})]
    parts += [dumps(value), dumps(list(storages))]
    for data in storages.values():
        parts.append(np.int64(data.size).tobytes() + data.tobytes())
    return b"".join(parts)


def test_views_of_storages_in_the_oldest_streams(tmp_path: Path) -> None:
    """Until 2019 a storage could be a part of another one: (key, offset, size)."""
    data = np.arange(10, dtype=np.float32)
    part = Storage("storage", FLOAT, "7", "cpu", 10, ("8", 4, 5))
    whole = Storage("storage", FLOAT, "7", "cpu", 10, None)
    value = {
        "part": Call(REBUILD, part, 1, (2, 2), (2, 1)),
        "whole": Call(REBUILD, whole, 0, (10,), (1,)),
    }
    (tmp_path / "old.pth").write_bytes(stream(value, {"7": data}))
    checkpoint = open_torch(tmp_path / "old.pth")
    np.testing.assert_array_equal(checkpoint["part"].read(), data[5:9].reshape(2, 2))
    np.testing.assert_array_equal(checkpoint["whole"].read(), data)


def test_tensors_saved_on_a_gpu(tmp_path: Path) -> None:
    data = np.arange(3, dtype=np.float32)
    cuda = Storage("storage", Named("torch.cuda", "FloatStorage"), "1", "cuda:0", 3, None)
    content = stream({"x": Call(REBUILD, cuda, 0, (3,), (1,))}, {"1": data})
    (tmp_path / "gpu.pth").write_bytes(content)
    np.testing.assert_array_equal(open_torch(tmp_path / "gpu.pth")["x"].read(), data)


def test_foreign_classes_can_be_kept_as_records(tmp_path: Path) -> None:
    dictionary = Call(Named("flair.data", "Dictionary"))
    content = stream({"dictionary": dictionary, "hidden_size": 8}, {})
    path = tmp_path / "flair.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"flair\.data\.Dictionary"):
        open_checkpoint(path)
    checkpoint = open_checkpoint(path, stubs=["flair.data.Dictionary"])
    assert checkpoint.metadata["hidden_size"] == 8
    assert "flair" not in sys.modules


def test_the_tar_container_says_how_to_save_again(tmp_path: Path) -> None:
    import tarfile

    path = tmp_path / "ancient.pth"
    with tarfile.open(path, "w") as tar:
        for name in ("storages", "tensors", "pickle"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(CheckpointError, match=r"torch\.save\(model\.state_dict"):
        open_checkpoint(path)


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"\x80\x02N.")
    with pytest.raises(CheckpointError, match="TorchScript"):
        open_checkpoint(path)


def test_a_whole_model_is_refused_with_advice(tmp_path: Path) -> None:
    model = Storage("module", Named("models", "Net"), "net.py", "class Net: ...")
    (tmp_path / "model.pt").write_bytes(stream({"model": model}, {}))
    with pytest.raises(CheckpointError, match=r"models\.Net"):
        open_checkpoint(tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.state_dict\(\)"):
        open_checkpoint(tmp_path / "model.pt", stubs=["models.Net"])


def test_two_things_of_one_path_are_an_error(tmp_path: Path) -> None:
    storage = Storage("storage", FLOAT, "1", "cpu", 1, None)
    tensor = Call(REBUILD, storage, 0, (1,), (1,))
    other = Call(REBUILD, storage, 0, (1,), (1,))
    content = stream({"a": {"b": tensor}, "a.b": other}, {"1": np.ones(1, np.float32)})
    (tmp_path / "two.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"path 'a\.b'"):
        open_torch(tmp_path / "two.pth")
