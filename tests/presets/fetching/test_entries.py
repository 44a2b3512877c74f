"""The cache: what is spoiled counts as absent and is fetched again; homes of every kind."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    SourceError,
    fetch,
    find_file,
    find_preset,
    resolve,
    verify_files,
)
from keras_pretrained.presets.fetching.entries import entry_of
from tests.presets.fetching.material import (
    FILES,
    HASHES,
    SIZES,
    contents,
    preset,
    source,
    tar,
    zipped,
)
from tests.presets.fetching.server import Server
from tests.presets.fetching.test_mirrors import serve_files
from tests.presets.test_local import fill


def manifest(address: str) -> Path:
    return entry_of(address).folder / "manifest.json"


@pytest.fixture(params=["archive", "files", "address"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def address(server: Server, kind: str) -> str:
    return serve_files(server) if kind == "files" else server.serve("/small.tgz", tar())


@pytest.fixture
def what(address: str, kind: str):  # type: ignore[no-untyped-def]
    """What is asked for: a preset, or the address."""
    return address if kind == "address" else preset(source(address))


def test_manifest(server: Server) -> None:
    address = server.serve("/small.tgz", tar(), etag='"7"')
    resolve(preset(source(address)))
    record = json.loads(manifest(address).read_text())
    assert record["address"] == address
    assert record["etag"] == '"7"'
    assert record["fetched"].endswith("+00:00")
    assert {name: each["size"] for name, each in record["files"].items()} == {
        name: len(data) for name, data in FILES.items()
    }


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["emptied", "truncated", "removed", "replaced by a folder"])
def test_spoiled_files(what, address: str, name: str, damage: str) -> None:  # type: ignore[no-untyped-def]
    located = resolve(what)
    path = located.folder / name
    if damage == "emptied":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
        if damage == "replaced by a folder":
            path.mkdir()
    if name == "config.json" and not isinstance(what, str):
        # A configuration is not needed, so nothing is fetched for it; it counts as absent.
        assert resolve(what).config is None
        fetch(what, force=True)
    again = resolve(what)
    assert contents(again.folder) == FILES
    assert again.folder == located.folder


def test_emptied_folders(what, address: str) -> None:  # type: ignore[no-untyped-def]
    folder = resolve(what).folder
    for each in (folder, manifest(address).parent):
        shutil.rmtree(each)
        assert contents(resolve(what).folder) == FILES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        "\0" * 100,
        '{"format": 1, "address": "ADDRESS", "files": []}',
        '{"format": 1, "address": "ADDRESS", "files": {"model.safetensors": 3}}',
        '{"format": 1, "address": "ADDRESS", "files": {"a": {"size": -1, "sha256": "x"}}}',
        '{"format": 1, "address": "ADDRESS", "files": {"a": {"size": true, "sha256": "x"}}}',
        '{"format": 1, "address": "ADDRESS", "whole": true, '
        '"files": {"../../../secret": {"size": 1, "sha256": "x"}}}',
        '{"format": 1, "address": "https://another.org", "files": {}}',
    ],
)
def test_corrupted_manifests(what, address: str, text: str) -> None:  # type: ignore[no-untyped-def]
    resolve(what)
    manifest(address).write_text(text.replace("ADDRESS", address))
    if not isinstance(what, str):
        assert find_preset(what) is None
        assert find_file(what, "vocabulary") is None
    assert contents(resolve(what).folder) == FILES
    assert json.loads(manifest(address).read_text())["address"] == address


def test_half_written_folders(what, address: str, server: Server) -> None:  # type: ignore[no-untyped-def]
    """Files without a manifest, as a crash before the last step leaves them."""
    entry = entry_of(address)
    entry.content.mkdir(parents=True)
    (entry.content / "model.safetensors").write_bytes(b"half")
    (entry.content / "stranger").write_bytes(b"x")
    entry.staging.mkdir()
    (entry.staging / "archive").write_bytes(b"half")
    (entry.staging / "content").mkdir()
    (entry.staging / "content" / "vocab.txt").write_bytes(b"half")
    assert contents(resolve(what).folder) == FILES


def test_verify_notices_what_sizes_do_not(server: Server) -> None:
    small = preset(source(server.serve("/small.tgz", tar())))
    path = resolve(small).weights
    assert [check.published for check in verify_files(small)] == [None] * 3
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert resolve(small).weights == path
    with pytest.raises(SourceError, match=r"Expected SHA-256 \w{64} as when it was fetched, found"):
        verify_files(small)
    fetch(small, force=True)
    verify_files(small)


@pytest.mark.parametrize("kind", ["archive", "files"])
def test_what_became_known_later(server: Server, address: str) -> None:
    """A file that was fetched before its hash was published, and is another one."""
    resolve(preset(source(address)))
    asked = len(server.requests)
    known = preset(source(address, hashes={"weights": "0" * 64}))
    assert find_preset(known) is None
    with pytest.raises(SourceError, match="is not the published file"):
        resolve(known)
    assert len(server.requests) > asked
    right = preset(source(address, SIZES, HASHES))
    assert resolve(right) == find_preset(right)


def test_force_without_a_source_to_fetch_from(tmp_path: Path) -> None:
    mirror = fill(tmp_path / "mirror", "model.safetensors", "vocab.txt")
    assert fetch(preset(source(str(mirror))), force=True).folder == mirror


def test_verify_fetches_nothing(server: Server) -> None:
    with pytest.raises(SourceError, match="cannot be found"):
        verify_files(preset(source(server.serve("/small.tgz", tar()))))
    assert server.requests == []


def test_modes(server: Server) -> None:
    for path in resolve(server.serve("/small.tgz", tar())).folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o7133 == 0


@pytest.mark.parametrize("name", ["with space", "ünï-çødé-日本", "per%cent", "x" * 120])
def test_homes_of_any_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / name / "home"
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(home))
    located = resolve(preset(source(server.serve("/small.zip", zipped()))))
    assert located.folder.is_relative_to(home)
    assert contents(located.folder) == FILES


def test_long_addresses(server: Server) -> None:
    path = "/" + "/".join(["step" * 10] * 20) + "/small.tgz"
    assert contents(resolve(server.serve(path, tar())).folder) == FILES


READ_ONLY = """
import os, sys
import filelock, requests, huggingface_hub
from keras_pretrained import presets
from keras_pretrained.presets import remote
presets.resolve(sys.argv[1])
# Root may write anywhere, and may be the only one who can read the libraries used so far.
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
for address in sys.argv[1:]:
    try:
        print(presets.resolve(address).folder)
    except presets.SourceError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_home_that_cannot_be_written_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there can be used; what is not is one error."""
    # pytest closes its own folders to other users again whenever another run of it starts.
    outside = tempfile.TemporaryDirectory()
    Path(outside.name).chmod(0o755)
    home = Path(outside.name) / "home"
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(home))
    first = server.serve("/first.tgz", tar())
    folder = resolve(first).folder
    second = server.serve("/second.tgz", tar())
    for parent, folders, names in os.walk(home):
        for each in (*folders, *names):
            path = Path(parent, each)
            path.chmod(0o555 if path.is_dir() else 0o444)
    home.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, first, second],
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        for parent, folders, _ in os.walk(home):
            for each in folders:
                Path(parent, each).chmod(0o755)
        home.chmod(0o755)
        outside.cleanup()
    assert done.returncode == 0, done.stderr
    there, error = done.stdout.splitlines()
    assert there == str(folder)
    assert f"{second} cannot be fetched: cannot write {home}" in error
    assert "(Permission denied). Set KERAS_PRETRAINED_HOME to a folder that you may" in error


def test_a_home_that_is_a_file(server: Server, home: Path) -> None:
    home.write_text("x")
    with pytest.raises(SourceError, match=r"cannot write .* Set KERAS_PRETRAINED_HOME"):
        resolve(server.serve("/small.tgz", tar()))
