"""The sources of a preset, in order, until one gives the published files."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from keras_pretrained import presets
from keras_pretrained.presets import (
    Preset,
    SourceError,
    fetch,
    find_file,
    find_preset,
    locate_file,
    preset_info,
    registry,
    resolve,
    verify_files,
)
from keras_pretrained.presets.fetching.addresses import file_url
from keras_pretrained.presets.fetching.network import Patience
from tests.presets.fetching.material import (
    FILES,
    HASHES,
    SIZES,
    WEIGHTS,
    contents,
    gzipped,
    preset,
    sha256,
    source,
    tar,
    zipped,
)
from tests.presets.fetching.server import Server
from tests.presets.test_local import fill


def serve_files(server: Server, folder: str = "/small", **changes: bytes) -> str:
    for name, data in FILES.items():
        server.serve(f"{folder}/{name}", changes.get(name.partition(".")[0], data))
    return server.url + folder


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/small.zip", zipped()),
        ("/small.zip", zipped(prefix="small/")),
        ("/small.tar.gz", tar()),
        ("/small.tgz", tar(prefix="./small/")),
        ("/small.tar.bz2", tar(mode="w:bz2")),
        ("/small.tar", tar(mode="w")),
        # What a name says counts less than what the content is.
        ("/small.zip", tar()),
        ("/google/small/1?tf-hub-format=compressed", tar()),
    ],
)
def test_archives(server: Server, home: Path, path: str, data: bytes) -> None:
    small = preset(source(server.serve(path, data), SIZES, HASHES))
    assert find_preset(small) is None
    located = resolve(small)
    assert located.weights.read_bytes() == WEIGHTS
    assert located.vocabulary is not None
    assert located.config is not None
    assert contents(located.folder) == FILES
    assert located.folder.is_relative_to(home / ".fetched")
    assert located.source is small.sources[0]
    assert resolve(small) == find_preset(small) == located
    assert [check.published for check in verify_files(small)] == list(HASHES.values())
    assert len(server.requests) == 1
    # Nothing is left of what was under way.
    (entry,) = [each for each in (home / ".fetched").iterdir() if each.name != ".locks"]
    assert sorted(each.name for each in entry.iterdir()) == ["content", "manifest.json"]


def test_tfhub_handles_ask_for_the_compressed_module() -> None:
    hub = preset_info("bert-base").sources[2]
    assert hub.kind == "tf-hub"
    assert replace(hub, address="https://x.org/m/1?tf-hub-format=compressed").kind == "tf-hub"
    assert replace(hub, address="https://x.org/m/1").kind == "file"


def test_a_tfhub_handle(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle itself has no query; a redirect leads to the archive."""
    target = server.serve("/storage/module.tar.gz", tar())
    server.serve("/google/small/1?tf-hub-format=compressed", failures=[(302, {"Location": target})])
    small = source(f"{server.url}/google/small/1")
    kind = property(lambda self: "tf-hub")
    monkeypatch.setattr(presets.Source, "kind", kind)
    assert resolve(preset(small)).weights.read_bytes() == WEIGHTS


def test_single_files(server: Server) -> None:
    small = preset(source(serve_files(server), SIZES, HASHES))
    assert contents(resolve(small).folder) == FILES
    assert sorted(server.paths()) == sorted(f"/small/{name}" for name in FILES)


def test_a_config_may_be_absent(server: Server) -> None:
    address = serve_files(server)
    del server.files["/small/config.json"]
    small = preset(source(address))
    assert resolve(small).config is None
    asked = len(server.requests)
    assert resolve(small).config is None
    assert len(server.requests) == asked


def test_addresses_of_files() -> None:
    assert file_url("https://x.org/a/b.bin", "b.bin") == "https://x.org/a/b.bin"
    assert file_url("https://x.org/a/b.bin?v=1", "b.bin") == "https://x.org/a/b.bin?v=1"
    assert file_url("https://x.org/a", "b c.bin") == "https://x.org/a/b%20c.bin"
    assert file_url("https://x.org/ab.bin", "b.bin") == "https://x.org/ab.bin/b.bin"


def test_the_vocabulary_alone(server: Server) -> None:
    archive = source(server.serve("/small.zip", zipped()))
    small = preset(archive, source(serve_files(server), SIZES, HASHES))
    path = locate_file(small, "vocabulary")
    assert path.read_bytes() == FILES["vocab.txt"]
    assert server.paths() == ["/small/vocab.txt"]
    assert locate_file(small, "vocabulary") == find_file(small, "vocabulary") == path
    assert find_file(small, "weights") is None
    assert find_preset(small) is None
    assert len(server.requests) == 1
    # The rest joins it.
    only = replace(small, sources=small.sources[1:])
    assert contents(resolve(only).folder) == FILES
    assert server.paths().count("/small/vocab.txt") == 1


def test_the_vocabulary_of_an_archive(server: Server) -> None:
    small = preset(source(server.serve("/small.zip", zipped())))
    assert locate_file(small, "vocabulary").read_bytes() == FILES["vocab.txt"]
    assert find_preset(small) is not None


@pytest.mark.parametrize("kind", ["files", "archive"])
def test_wrong_hash_then_the_next_mirror(server: Server, home: Path, kind: str) -> None:
    wrong = b"x" * len(WEIGHTS)
    if kind == "files":
        first = serve_files(server, "/one", model=wrong)
        second = serve_files(server, "/two")
    else:
        first = server.serve("/one.zip", zipped({**FILES, "model.safetensors": wrong}))
        second = server.serve("/two.zip", zipped())
    small = preset(source(first, SIZES, HASHES), source(second, SIZES, HASHES))
    located = resolve(small)
    assert located.weights.read_bytes() == WEIGHTS
    assert located.source is small.sources[1]
    assert wrong not in contents(home).values()


def test_the_hash_of_an_archive(server: Server) -> None:
    data = zipped()
    address = server.serve("/small.zip", data)
    for sizes, hashes, message in (
        ({"archive": 5}, {}, "bytes in place of the published 5"),
        ({}, {"archive": "0" * 64}, f"SHA-256 {sha256(data)} in place of the published 000"),
    ):
        with pytest.raises(SourceError, match=message):
            resolve(preset(source(address, sizes, hashes)))
    sizes, hashes = {"archive": len(data)}, {"archive": sha256(data)}
    assert resolve(preset(source(address, sizes, hashes))).weights.read_bytes() == WEIGHTS


def test_every_kind_of_failure_and_then_a_mirror(server: Server) -> None:
    addresses = [
        server.serve("/403.zip", failures=[(403, {})]),
        server.serve("/404.zip", failures=[(404, {})]),
        server.serve("/500.zip", failures=[(500, {})] * 9),
        server.serve("/html.zip", b"<html>"),
        server.serve("/escape.zip", zipped({"../x": b""})),
        server.serve("/incomplete.zip", zipped({"vocab.txt": b"x"})),
        server.serve("/loop.zip", failures=[(302, {"Location": "/loop.zip"})] * 99),
        server.serve("/stall.zip", zipped(), stall=0),
        "http://127.0.0.1:9/x.zip",
        "https://user:password@127.0.0.1/x.zip",
        "http://nowhere.invalid/x.zip",
        "hf://not-a-repository",
        "kaggle://owner/model/keras/base",
    ]
    sources = [source(address) for address in addresses]
    with pytest.raises(SourceError) as caught:
        resolve(preset(*sources))
    text = str(caught.value)
    lines = {line.split(": ")[0].strip(): line for line in text.splitlines() if ": " in line}
    for address, reason in zip(
        addresses,
        [
            "403 Forbidden",
            "404 Not Found",
            "500 Internal Server Error (4 attempts)",
            "is no archive; it starts with b'<html>'",
            "the file name '../x' is refused: it leaves its folder",
            "it has no file 'model.safetensors'",
            "more than 10 redirects",
            "no bytes came in for 0.4 s (4 attempts)",
            "no connection to 127.0.0.1: refused",
            "must not hold a password",
            "the name nowhere.invalid cannot be resolved",
            "wrong address; expected hf://",
            "wrong address; expected kaggle://",
        ],
        strict=True,
    ):
        assert reason in lines[address]
    good = source(server.serve("/good.zip", zipped()))
    assert resolve(preset(*sources, good)).source is good


def test_without_a_network(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error that says all there is to say, soon, and without a chain of tracebacks."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://nowhere.invalid")
    monkeypatch.setattr(presets.remote, "PATIENCE", Patience())
    web = replace(preset_info("bert-base").sources[0], address="https://no.invalid/x.zip")
    small = replace(preset_info("bert-base"), sources=(web, *preset_info("bert-base").sources[1:2]))
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        resolve(small)
    assert time.monotonic() - started < 20
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    text = str(caught.value)
    for part in (
        "The files of preset 'bert-base' cannot be found on this machine.",
        "https://no.invalid/x.zip: the name no.invalid cannot be resolved",
        "hf://google-bert/bert-base-uncased: no connection to the Hugging Face Hub",
        str(home / "bert-base"),
        "bert_model.ckpt.index",
        "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/model.safetensors",
        "KERAS_PRETRAINED_HOME",
    ):
        assert part in text
    with pytest.raises(SourceError, match="file 'vocabulary' of preset 'bert-base'") as caught:
        locate_file(small, "vocabulary")
    assert "bert_model.ckpt" not in str(caught.value)


def test_offline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    small = preset(source(server.serve("/small.zip", zipped())))
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    for action in (resolve, fetch, lambda each: locate_file(each, "vocabulary")):
        with pytest.raises(SourceError, match="OFFLINE=1 is set: nothing is downloaded") as caught:
            action(small)
        assert small.sources[0].address in str(caught.value)
    with pytest.raises(SourceError, match="not on this machine, and KERAS_PRETRAINED_OFFLINE=1"):
        resolve(small.sources[0].address)
    assert server.requests == []
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "0")
    located = resolve(small)
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    assert resolve(small) == fetch(small) == located
    with pytest.raises(SourceError, match="OFFLINE=1"):
        fetch(small, force=True)
    assert resolve(small) == located


def test_placed_files_come_first_and_stay(server: Server, home: Path) -> None:
    small = preset(source(server.serve("/small.zip", zipped())))
    folder = fill(home / "small", "model.safetensors", "vocab.txt")
    assert resolve(small).folder == fetch(small).folder == folder
    assert server.requests == []
    assert fetch(small, force=True).weights.read_bytes() == WEIGHTS
    assert contents(folder) == {"model.safetensors": b"x", "vocab.txt": b"x"}
    assert resolve(small).folder == folder
    # A half that was placed is not made whole by another source's files.
    (folder / "model.safetensors").unlink()
    assert resolve(small).folder.is_relative_to(home / ".fetched")
    assert contents(folder) == {"vocab.txt": b"x"}
    assert locate_file(small, "vocabulary") == folder / "vocab.txt"


def test_packages_come_before_the_network(server: Server, site: Path) -> None:
    fill(site / "fake_weights", "model/model.safetensors", "model/vocab.txt")
    package = replace(source("pkg://fake_weights/model"), requirement="fake-weights==1")
    small = preset(source(server.serve("/small.zip", zipped())), package)
    assert resolve(small).folder == site / "fake_weights" / "model"
    assert server.requests == []


def test_local_folders(server: Server, tmp_path: Path) -> None:
    mirror = fill(tmp_path / "mirror", "model.safetensors", "vocab.txt")
    address = server.serve("/small.zip", zipped())
    small = preset(source(str(mirror)), source(address))
    assert resolve(small).folder == mirror
    (mirror / "vocab.txt").unlink()
    assert resolve(small).source is small.sources[1]
    with pytest.raises(SourceError, match=f"Into {mirror}, or into "):
        resolve(preset(source(str(mirror))))


def test_force(server: Server) -> None:
    address = server.serve("/small.zip", zipped(), etag='"1"')
    small = preset(source(address))
    first = resolve(small)
    server.serve("/small.zip", zipped({**FILES, "model.safetensors": b"new"}), etag='"2"')
    assert fetch(small) == first
    assert first.weights.read_bytes() == WEIGHTS
    assert fetch(small, force=True) == first
    assert first.weights.read_bytes() == b"new"
    server.files.clear()
    with pytest.raises(SourceError, match="404"):
        fetch(small, force=True)
    assert resolve(small).weights.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/x/small.tar.gz", tar()),
        ("/x/small.zip?token=a%20b", zipped(prefix="small/")),
        ("/m/1?tf-hub-format=compressed", tar()),
    ],
)
def test_addresses_of_archives(server: Server, path: str, data: bytes) -> None:
    url = server.serve(path, data)
    located = resolve(url)
    assert located.name == url
    assert contents(located.folder) == FILES
    assert located.vocabulary is not None
    assert located.preset is None
    assert resolve(url) == fetch(url) == located
    assert len(server.requests) == 1


def test_addresses_of_files_of_the_users(server: Server) -> None:
    located = resolve(server.serve("/x/my%20model.safetensors", WEIGHTS))
    assert located.weights.name == "my model.safetensors"
    assert located.weights.read_bytes() == WEIGHTS
    located = resolve(server.serve("/x/weights.npz.gz", gzipped(b"numbers")))
    assert contents(located.folder) == {"weights.npz": b"numbers"}
    with pytest.raises(SourceError, match=r"/none.h5 cannot be fetched: the server answers 404"):
        resolve(f"{server.url}/none.h5")


def test_addresses_of_presets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published of a preset's file is checked also for who gives its address."""
    first, second = server.serve("/one.zip", zipped()), server.serve("/two.zip", tar())
    small = preset(source(first), source(second, hashes={"weights": "0" * 64}))

    class Known:
        presets = {"small": small}  # noqa: RUF012

        def find(self, name: str) -> Preset | None:
            return None

    monkeypatch.setattr("keras_pretrained.presets.sources.registry", Known)
    assert callable(registry.registry)
    located = resolve(first)
    assert (located.name, located.preset, located.dialect) == (first, small, "hf")
    with pytest.raises(SourceError, match=r"model\.safetensors is not the published file"):
        resolve(second)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://example.org/x.zip", "cannot be opened. Addresses that work"),
        ("file:///etc/passwd", "cannot be opened. Addresses that work"),
        ("http://", "not a web address"),
        ("https:///x.zip", "not a web address"),
        ("http://[::1/x.zip", "not a web address"),
        ("http://a b\n/x.zip", "not a web address"),
        ("https://u:p@example.org/x.zip", "must not hold a password"),
        ("hf://../..", "expected hf://"),
        ("hf://a/b/c", "expected hf://"),
        ("kaggle://a/b", "expected kaggle://"),
    ],
)
def test_wrong_addresses(address: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        resolve(address)
