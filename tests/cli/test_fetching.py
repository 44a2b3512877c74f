"""`fetch`: prints the folder, keeps progress off standard output, and fails with one message."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained import presets
from keras_pretrained.checkpoints import write_safetensors
from keras_pretrained.presets import Located, SourceError
from tests.cli.conftest import Run
from tests.cli.processes import interruptible


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a `fetch` that finds everything."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def fetch(source: str, **options: Any) -> Located:
        seen.append((source, options))
        return Located(source, tmp_path / "\x1bfolder", tmp_path / "model.safetensors")

    monkeypatch.setattr(presets, "fetch", fetch)
    return seen


def test_the_folder_is_all_that_stands_on_standard_output(
    run: Run, calls: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    done = run("fetch", "bert-tiny")
    assert done == (0, f"{tmp_path}/\\x1bfolder\n", "")
    run("fetch", "hf://google/bert", "--force", "--quiet")
    assert [source for source, _ in calls] == ["bert-tiny", "hf://google/bert"]
    assert [options["force"] for _, options in calls] == [False, True]
    assert calls[0][1]["progress"]
    assert not calls[1][1]["progress"]


def test_a_failure_is_one_message(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(source: str, **options: Any) -> Located:
        raise SourceError(f"{source}: no mirror answers.\nPlace its files in a folder.")

    monkeypatch.setattr(presets, "fetch", fetch)
    done = run("fetch", "bert-tiny")
    message = "keras-pretrained: bert-tiny: no mirror answers.\nPlace its files in a folder.\n"
    assert done == (1, "", message)


class Server(ThreadingHTTPServer):
    """Serves one small file; `/slow.safetensors` sends a part of it and then waits."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.requests: list[str] = []
        self.sent, self.over = threading.Event(), threading.Event()

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.path not in ("/small.safetensors", "/slow.safetensors"):
            self.send_error(404)
            return
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path == "/slow.safetensors":
            self.wfile.write(content[:20])
            self.wfile.flush()
            self.server.sent.set()
            self.server.over.wait(30)
            return
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("KERAS_PRETRAINED_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = write_safetensors(tmp_path / "x.safetensors", {"w": np.zeros((2, 3), "float32")})
    with Server(path.read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def test_a_file_comes_once_and_stays(
    run: Run, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.address("small.safetensors")
    done = run("fetch", address)
    assert (done.code, done.err) == (0, "")
    folder = Path(done.out.removesuffix("\n"))
    assert folder.is_relative_to(home)
    assert (folder / "small.safetensors").read_bytes() == server.content
    before = len(server.requests)
    assert run("fetch", address) == done
    assert len(server.requests) == before
    assert run("fetch", address, "--force") == done
    assert len(server.requests) > before
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    found = json.loads(run("inspect", address, "--json", "--no-family").out)
    assert found["arrays"] == [{"name": "w", "shape": [2, 3], "dtype": "float32"}]


def test_a_file_that_is_not_there_is_one_message(run: Run, server: Server, home: Path) -> None:
    done = run("fetch", server.address("other.safetensors"))
    assert (done.code, done.out) == (1, "")
    assert server.address("other.safetensors") in done.err
    assert "404" in done.err
    assert "Traceback" not in done.err
    assert not list(home.rglob("content/*"))


def test_without_network_an_absent_preset_is_one_message(run: Run, home: Path) -> None:
    done = run("fetch", "bert-tiny")
    assert (done.code, done.out) == (1, "")
    assert "The files of preset" in done.err
    assert "KERAS_PRETRAINED_OFFLINE=1 is set" in done.err
    assert str(home) in done.err


def test_ctrl_c_while_fetching_leaves_no_file_and_no_traceback(server: Server, home: Path) -> None:
    process = interruptible("-m", "keras_pretrained", "fetch", server.address("slow.safetensors"))
    assert server.sent.wait(20)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (130, "", "keras-pretrained: interrupted.\n")
    assert not list(home.rglob("content/*"))
