"""Archives: what comes out of good ones, and that nothing comes out of hostile ones."""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from keras_pretrained.presets.fetching import archives, files
from keras_pretrained.presets.fetching.archives import ArchiveError, unpack
from keras_pretrained.presets.fetching.failure import DiskFailure, FetchFailure
from tests.presets.fetching.material import FILES, contents, gzipped, sha256, tar, zipped


def put(folder: Path, data: bytes, name: str = "archive") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def unpacked(folder: Path, data: bytes, name: str = "a.tgz") -> dict[str, bytes]:
    target = folder / "out" / "content"
    found = unpack(put(folder, data), target, name)
    there = contents(target)
    assert {each: (f.size, f.sha256) for each, f in found.items()} == {
        each: (len(data), sha256(data)) for each, data in there.items()
    }
    return there


def refused(folder: Path, data: bytes, message: str, name: str = "a.tgz") -> None:
    """The archive is an error, and nothing was written outside its folder."""
    before = contents(folder)
    with pytest.raises(ArchiveError, match=message):
        unpacked(folder, data, name)
    after = contents(folder)
    for each in after.keys() - before.keys():
        assert each == "archive" or each.startswith("out/content/")
    assert not (folder.parent / "escaped").exists()


GOOD = {
    "tar.gz": tar(mode="w:gz"),
    "tar.bz2": tar(mode="w:bz2"),
    "tar": tar(mode="w:"),
    "zip": zipped(),
    "dots": tar(prefix="./"),
    "concatenated gzip": gzipped(tar(mode="w:")[:1000]) + gzipped(tar(mode="w:")[1000:]),
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_ones(tmp_path: Path, kind: str) -> None:
    assert unpacked(tmp_path, GOOD[kind], "x") == FILES
    for path in (tmp_path / "out" / "content").rglob("*"):
        # The archives state mode 07777.
        assert stat.S_IMODE(path.stat().st_mode) & 0o7113 == 0


@pytest.mark.parametrize("data", [tar(prefix="top/inner/"), zipped(prefix="top/inner/")])
def test_folders(tmp_path: Path, data: bytes) -> None:
    assert unpacked(tmp_path, data) == {f"top/inner/{name}": each for name, each in FILES.items()}


def test_long_names(tmp_path: Path) -> None:
    name = "folder-with-a-long-name/" * 10 + "ä" * 100
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", format=form) as archive:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
        folder = tmp_path / str(form)
        folder.mkdir()
        assert unpacked(folder, buffer.getvalue()) == {name: b"x"}


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_single_files(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    assert unpacked(tmp_path, compress(b"words"), "words.vec.gz") == {"words.vec": b"words"}


@pytest.mark.parametrize(
    "name",
    [
        "/escaped",
        "../escaped",
        "a/../../escaped",
        "a/..",
        "..",
        "C:/escaped",
        "c:escaped",
        "..\\escaped",
        "\\\\host\\escaped",
        "a\nb",
        "a\x7fb",
        "x/" * 40 + "x",
        "x" * 300,
        "file:stream",
    ],
)
def test_names_that_escape(tmp_path: Path, name: str) -> None:
    bad = {"model.safetensors": b"x", name: b"y"}
    for number, data in enumerate((tar(bad), tar(bad, "w:bz2"), zipped(bad))):
        folder = tmp_path / str(number) / "deep"
        folder.mkdir(parents=True)
        refused(folder, data, "is refused")


def test_names_that_end_early(tmp_path: Path) -> None:
    data = zipped({"a_hidden": b"x"}).replace(b"a_hidden", b"a\0hidden")
    refused(tmp_path, data, "is refused|is broken")


@pytest.mark.parametrize("name", [b"../escaped", b"/escaped"])
def test_pax_headers_that_escape(tmp_path: Path, name: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("innocent")
        member.pax_headers = {"path": name.decode()}
        archive.addfile(member)
    refused(tmp_path, buffer.getvalue(), "is refused")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_special_members_of_tar(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "../escaped"
        archive.addfile(member)
        member = tarfile.TarInfo("link/file")
        archive.addfile(member)
    refused(tmp_path, buffer.getvalue(), "is a link, a device or another special file|broken")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_special_members_of_zip(tmp_path: Path, kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = (kind | 0o777) << 16
        archive.writestr(member, "../escaped")
    refused(tmp_path, buffer.getvalue(), "is a link or a special file")


def test_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"x"}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    refused(tmp_path, bytes(data), "is encrypted")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a"),
        ("a", "./a"),
        ("x/./y", "x//y"),
        ("a", "A"),
        ("\u00e9", "e\u0301"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/b", "A"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_there_twice(tmp_path: Path, first: str, second: str) -> None:
    tars, zips = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tars, mode="w") as archive:
        for name in (first, second):
            archive.addfile(tarfile.TarInfo(name))
    with zipfile.ZipFile(zips, "w") as other:
        for name in (first, second):
            other.writestr(name, b"")
    for number, data in enumerate((tars.getvalue(), zips.getvalue())):
        folder = tmp_path / str(number)
        folder.mkdir()
        refused(folder, data, "is there twice|lies below a file")


def test_bombs(tmp_path: Path) -> None:
    zeros = {"zeros": bytes(64 * 1024 * 1024)}
    bombs = (gzipped(zeros["zeros"]), tar(zeros), tar(zeros, "w:bz2"), zipped(zeros))
    for number, data in enumerate(bombs):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert len(data) < 100_000
        refused(folder, data, "more than 100 times its size")
        written = sum(map(len, contents(folder / "out").values()))
        assert written <= 16 * 1024 * 1024


def test_a_zip_that_states_less_than_it_holds(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": bytes(1000)}))
    # The size in the central directory: the reader stops there and the checksum fails.
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 10)
    refused(tmp_path, bytes(data), "is broken: Bad CRC-32")


def test_a_zip_that_states_more_than_it_holds(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": bytes(1000)}))
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 2**31)
    refused(tmp_path, bytes(data), "more than 100 times its size")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 5)
    many = {f"{number}": b"" for number in range(6)}
    for number, data in enumerate((tar(many), zipped(many))):
        folder = tmp_path / str(number)
        folder.mkdir()
        refused(folder, data, "more than 5 members")
    assert unpacked(tmp_path, tar({f"{number}": b"" for number in range(5)}))


def test_headers_that_ask_for_memory(tmp_path: Path) -> None:
    """A long name of a gigabyte, and a directory of a gigabyte."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**30
    header = gzipped(member.tobuf() + bytes(4096))
    directory = bytearray(zipped({"a": b"x"}) + bytes(1000))
    end = directory.index(b"PK\5\6")
    struct.pack_into("<II", directory, end + 12, 2**30, 0)
    tracemalloc.start()
    try:
        refused(tmp_path, header, "a header of the archive has 1,073,741,824 bytes")
        refused(tmp_path, bytes(directory), "directory of the archive|is broken")
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", GOOD)
def test_every_cut_is_noticed(tmp_path: Path, kind: str) -> None:
    data = GOOD[kind]
    for number, end in enumerate((1, 5, len(data) // 3, len(data) // 2, len(data) - 5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "tar" and end == len(data) - 5:
            # Without the last zeros of its padding a tar archive is still whole.
            assert unpacked(folder, data[:end]) == FILES
            continue
        with pytest.raises(FetchFailure):
            unpacked(folder, data[:end])


def test_every_flipped_byte_is_survived(tmp_path: Path) -> None:
    small = {"model.safetensors": b"weights", "vocab.txt": b"words"}
    for kind, data in (
        ("gz", tar(small)),
        ("zip", zipped(small)),
        ("tar", tar(small, "w:")[:2048]),
    ):
        for position in range(0, len(data), max(1, len(data) // 60)):
            folder = tmp_path / f"{kind}-{position}"
            folder.mkdir()
            broken = bytearray(data)
            broken[position] ^= 0xFF
            try:
                unpacked(folder, bytes(broken), "x.gz")
            except FetchFailure:
                continue


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>Not found</html>", "is no archive; it starts with b'<html>"),
        (b"", "is no archive"),
        (zipped({}), "is an empty archive"),
    ],
)
def test_no_archives(tmp_path: Path, data: bytes, message: str) -> None:
    refused(tmp_path, data, message)


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "write", write)
    with pytest.raises(DiskFailure, match=r"the disk of .* is full"):
        unpacked(tmp_path, tar())
    assert contents(tmp_path / "out") == {}


def test_too_little_room_for_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = files.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DiskFailure, match="do not fit on the disk"):
        unpacked(tmp_path, zipped())
