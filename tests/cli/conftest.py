"""Commands in this process: their exit code, output and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from keras_pretrained.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of files, and no network."""
    folder = tmp_path / "home"
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(folder))
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return run
