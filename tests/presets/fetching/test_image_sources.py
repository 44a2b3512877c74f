"""Archives with members by pattern; files of which an MD5 or a few digits were published."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    Preset,
    Source,
    SourceError,
    fetch,
    find_preset,
    preset_info,
    resolve,
    verify_files,
)
from tests.presets.fetching.material import WEIGHTS, contents, sha256, tar
from tests.presets.fetching.server import Server
from tests.presets.test_local import fill

EITHER = {"weights": "*.ckpt{,.index}"}
SECOND = {"weights": "*.ckpt.index", "weights_data": "*.ckpt.data-00000-of-00001"}
MD5 = hashlib.md5(WEIGHTS, usedforsecurity=False).hexdigest()
# As the published archives are: one file, perhaps beside graphs; or the parts of a bundle.
FIRST_FORMAT = {"net.ckpt": WEIGHTS}
WITH_GRAPHS = {"net.ckpt": WEIGHTS, "eval.graph": b"g", "train.graph": b"g"}
SECOND_FORMAT = {
    "net.ckpt.index": b"index",
    "net.ckpt.data-00000-of-00001": WEIGHTS,
    "net.ckpt.meta": b"meta",
    "net_frozen.pb": b"frozen",
}


def small(*sources: Source) -> Preset:
    return replace(preset_info("inception-v1"), name="small", sources=sources)


def archive(server: Server, files: dict[str, bytes], prefix: str = "") -> str:
    return server.serve("/net.tgz", tar(files, prefix=prefix))


@pytest.mark.parametrize(
    ("files", "pattern", "name"),
    [
        (FIRST_FORMAT, EITHER, "net.ckpt"),
        (WITH_GRAPHS, EITHER, "net.ckpt"),
        (SECOND_FORMAT, EITHER, "net.ckpt"),
        (SECOND_FORMAT, SECOND, "net.ckpt"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "./", "net_2016/", "./net_2016/"])
def test_members_by_pattern(
    server: Server, files: dict[str, bytes], pattern: dict[str, str], name: str, prefix: str
) -> None:
    preset = small(Source(archive(server, files, prefix), "slim", pattern))
    located = resolve(preset)
    assert located.weights == located.folder / name
    assert located.dialect == "slim"
    assert contents(located.folder) == files
    assert resolve(preset) == find_preset(preset) == located
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.txt": b"x"}, r"it has no file '\*\.ckpt or \*\.ckpt\.index'; it holds readme"),
        ({"a.ckpt": b"x", "b.ckpt": b"y"}, r"several files \*\.ckpt or .*: a\.ckpt, b\.ckpt"),
    ],
)
def test_no_member_or_several(server: Server, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        resolve(small(Source(archive(server, files), "slim", EITHER)))


def test_half_of_a_bundle(server: Server) -> None:
    files = {"net.ckpt.index": b"index"}
    with pytest.raises(SourceError, match=r"no file '\*\.ckpt\.data-00000-of-00001'"):
        resolve(small(Source(archive(server, files), "slim", SECOND)))


def test_a_truncated_archive(server: Server) -> None:
    address = server.serve("/net.tgz", tar(FIRST_FORMAT)[:-400])
    with pytest.raises(SourceError, match=r"net.tgz: the archive is broken"):
        resolve(small(Source(address, "slim", EITHER)))


def test_archives_that_were_unpacked_by_hand(home: Path) -> None:
    preset = small(Source("https://example.org/net.tgz", "slim", EITHER))
    assert find_preset(preset) is None
    fill(home / "small" / "net_2016", "net.ckpt")
    located = find_preset(preset)
    assert located is not None
    assert located.weights == home / "small" / "net_2016" / "net.ckpt"


def test_md5(server: Server, home: Path) -> None:
    address = server.serve("/net.h5", WEIGHTS)
    good = Source(address, "keras", {"weights": "net.h5"}, md5={"weights": MD5})
    bad = replace(good, md5={"weights": "0" * 32})
    with pytest.raises(SourceError, match=f"MD5 {MD5} in place of {'0' * 32}"):
        resolve(small(bad))
    assert contents(home / ".fetched") == {} or find_preset(small(good)) is None
    located = resolve(small(good))
    assert located.weights.read_bytes() == WEIGHTS
    (check,) = verify_files(small(good))
    assert (check.sha256, check.published) == (sha256(WEIGHTS), f"md5:{MD5}")
    with pytest.raises(SourceError, match=f"Expected MD5 {'0' * 32}, found {MD5}"):
        verify_files(small(bad))


def test_the_first_digits_of_a_hash(server: Server) -> None:
    address = server.serve("/net-12345678.pth", WEIGHTS)
    good = Source(
        address,
        "torchvision",
        {"weights": "net-12345678.pth"},
        sha256={"weights": sha256(WEIGHTS)[:8]},
    )
    bad = replace(good, sha256={"weights": "12345678"})
    with pytest.raises(SourceError, match=r"SHA-256 \w{64} in place of the published 12345678"):
        resolve(small(bad))
    located = resolve(small(good))
    assert located.weights.read_bytes() == WEIGHTS
    (check,) = verify_files(small(good))
    assert check.published == sha256(WEIGHTS)[:8]
    # What was fetched is not taken for another version of the file.
    assert find_preset(small(bad)) is None
    with pytest.raises(SourceError):
        verify_files(small(bad))


def test_a_mirror_with_the_right_file(server: Server) -> None:
    wrong = Source(
        server.serve("/a/net.h5", b"other"), "keras", {"weights": "net.h5"}, md5={"weights": MD5}
    )
    right = replace(wrong, address=server.serve("/b/net.h5", WEIGHTS))
    assert fetch(small(wrong, right)).source == right
