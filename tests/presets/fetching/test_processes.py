"""Several processes, processes that are killed, and disks that refuse."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_pretrained.presets import SourceError, fetch, find_preset, resolve, verify_files
from keras_pretrained.presets.fetching.entries import entry_of
from tests.presets.fetching.material import FILES, contents, preset, source, tar
from tests.presets.fetching.server import Server
from tests.presets.fetching.test_mirrors import serve_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")

FETCH = """
import sys
from dataclasses import replace
from keras_pretrained import presets
names = {"weights": "model.safetensors", "config": "config.json", "vocabulary": "vocab.txt"}
source = presets.Source(sys.argv[1], "hf", names)
small = replace(presets.preset_info("bert-tiny"), name="small", sources=(source,))
print(presets.resolve(small).folder, flush=True)
"""


def start(address: str, before: str = "", code: str = FETCH) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + code, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.strip()


@pytest.mark.parametrize("kind", ["archive", "files"])
def test_two_at_once(server: Server, kind: str) -> None:
    if kind == "archive":
        address = server.serve("/small.tgz", tar(mode="w"), piece=50_000, pace=0.1)
    else:
        address = serve_files(server)
        server.files["/small/model.safetensors"].pace = 0.3
    processes = [start(address) for _ in range(2)]
    folders = {finish(process) for process in processes}
    assert len(folders) == 1
    assert contents(Path(folders.pop())) == FILES
    assert len(server.requests) == (1 if kind == "archive" else len(FILES))


def test_a_reader_beside_a_writer(server: Server) -> None:
    """Whoever looks while another process fetches sees nothing or all."""
    address = server.serve("/small.tgz", tar(mode="w"), piece=50_000, pace=0.1)
    small = preset(source(address))
    process = start(address)
    seen = set()
    while process.poll() is None:
        located = find_preset(small)
        seen.add(located is not None)
        if located is not None:
            assert contents(located.folder) == FILES
        time.sleep(0.01)
    finish(process)
    assert False in seen


def killed_at(server: Server, address: str, seconds: float) -> bool:
    """Kills a process so long after its first request; whether it was still at work."""
    server.requests.clear()
    process = start(address)
    while not server.requests and process.poll() is None:
        time.sleep(0.002)
    time.sleep(seconds)
    working = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return working


def check_after_kill(server: Server, address: str) -> None:
    """No half file is visible, and the next run succeeds."""
    small = preset(source(address))
    here = find_preset(small)
    if here is not None:
        assert contents(here.folder) == FILES
    assert contents(resolve(small).folder) == FILES
    left = contents(entry_of(address).staging) if entry_of(address).staging.exists() else {}
    assert sum(map(len, left.values())) < 1000


def kill_at_random_moments(server: Server, count: int, seed: int) -> int:
    moments = random.Random(seed)
    working = 0
    for number in range(count):
        # A transfer of about 0.15 s, and what follows it.
        if number % 2:
            data = tar(mode="w")
            address = server.serve(f"/{number}/small.tgz", data, piece=20_000, pace=0.008)
        else:
            address = serve_files(server, f"/{number}")
            served = server.files[f"/{number}/model.safetensors"]
            served.piece, served.pace = 20_000, 0.008
        working += killed_at(server, address, moments.uniform(0, 0.2))
        for served in server.files.values():
            served.pace = 0
        check_after_kill(server, address)
    return working


def test_kill(server: Server) -> None:
    assert kill_at_random_moments(server, 8, seed=1) >= 3


@pytest.mark.exhaustive
def test_kill_fifty_times(server: Server) -> None:
    assert kill_at_random_moments(server, 50, seed=2) >= 20


STEPS = ("forget", "remove", "rename", "replace", "write", "fsync")
KILL_AT = """
import os
from keras_pretrained.presets.fetching import entries, fetcher, files
step, count = {step!r}, {count}
def deadly(function):
    def call(*arguments, **options):
        global count
        count -= 1
        if count == 0:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return call
if step == "forget":
    entries.Entry.forget = deadly(entries.Entry.forget)
elif step == "write":
    entries.Entry.write = deadly(entries.Entry.write)
elif step == "remove":
    fetcher.remove = deadly(fetcher.remove)
else:
    setattr(os, step, deadly(getattr(os, step)))
"""


@pytest.mark.parametrize("kind", ["archive", "files"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps(server: Server, kind: str, step: str) -> None:
    """The moments that chance would hardly hit: around each step of moving into place."""
    if kind == "archive":
        address = server.serve("/small.tgz", tar())
    else:
        address = serve_files(server)
    for count in (1, 2):
        process = start(address, KILL_AT.format(step=step, count=count))
        process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL)
        check_after_kill(server, address)
        entry_of(address).forget()


FORCE = FETCH.replace("resolve(small)", "fetch(small, force=True)")


@pytest.mark.parametrize(
    ("kind", "step", "counts"),
    # The first calls of `replace` are notes of downloads, one each; then come files, then the
    # manifest.
    [("archive", "rename", [1]), ("archive", "replace", [2]), ("files", "replace", [5, 7])],
)
def test_killed_while_it_replaces(server: Server, kind: str, step: str, counts: list[int]) -> None:
    """New files of the same size must never stand under the old hashes."""
    new = {name: data[::-1] for name, data in FILES.items()}
    for count in counts:
        if kind == "archive":
            address = server.serve("/small.tgz", tar(), etag='"1"')
        else:
            address = serve_files(server)
        small = preset(source(address))
        fetch(small, force=True)
        if kind == "archive":
            server.serve("/small.tgz", tar(new), etag='"2"')
        for name, data in new.items():
            server.serve(f"/small/{name}", data, etag='"2"')
        process = start(address, KILL_AT.format(step=step, count=count), FORCE)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        here = find_preset(small)
        if here is not None:
            verify_files(small)
            assert contents(here.folder) in (FILES, new)


def test_an_interrupted_download_is_resumed_by_the_next_process(server: Server) -> None:
    data = tar(mode="w")
    address = server.serve("/small.tgz", data, piece=10_000, pace=0.02)
    assert killed_at(server, address, 0.2)
    server.files["/small.tgz"].pace = 0
    check_after_kill(server, address)
    assert server.requests[-1].headers.get("Range", "").startswith("bytes=")


SMALL_FILES_ONLY = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""


@pytest.mark.parametrize("kind", ["archive", "files"])
def test_a_write_that_really_fails(server: Server, kind: str) -> None:
    if kind == "archive":
        address = server.serve("/small.tgz", tar(mode="w"))
    else:
        address = serve_files(server)
    process = start(address, SMALL_FILES_ONLY)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    last = error[error.index("SourceError") :]
    assert "or a quota or file size limit is reached (File too large)" in last
    assert "Make room, or set KERAS_PRETRAINED_HOME" in last
    # One error, not a chain of them.
    assert error.count("Traceback") == 1
    large = [path for path in entry_of(address).folder.rglob("*") if path.stat().st_size > 50_000]
    assert large == []
    check_after_kill(server, address)


def test_a_full_disk_is_no_reason_for_another_mirror(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    first, second = server.serve("/one.tgz", tar()), server.serve("/two.tgz", tar())
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(SourceError, match=r"the disk of .* is full") as caught:
        resolve(preset(source(first), source(second)))
    monkeypatch.undo()
    assert f"{first}: the disk of" in str(caught.value)
    assert server.paths() == ["/one.tgz"]
