"""`verify`: published hashes against the files that are here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keras_pretrained.cli import verifying
from keras_pretrained.presets import verify_files
from tests.cli.conftest import Run
from tests.presets.test_placed import place, small


@pytest.fixture
def placed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a small preset, the one that the command looks at."""
    monkeypatch.setattr(verifying, "verify_files", lambda name: verify_files(small()))
    return place(home)


def test_every_file_has_a_line(run: Run, placed: Path) -> None:
    (placed / "config.json").write_text("{}")
    done = run("verify", "small")
    assert (done.code, done.err) == (0, "")
    lines = {line.split()[-1]: line for line in done.out.splitlines()}
    digest = hashlib.sha256(b"weights").hexdigest()
    assert lines[str(placed / "model.safetensors")].split()[:3] == ["ok", "weights", digest]
    assert lines[str(placed / "config.json")].startswith("no hash  config ")


def test_another_file_is_a_failure_that_names_it(run: Run, placed: Path) -> None:
    (placed / "model.safetensors").write_bytes(b"WEIGHTS")
    done = run("verify", "small")
    assert (done.code, done.out) == (1, "")
    assert f"{placed / 'model.safetensors'} is not the file that preset 'small'" in done.err
    assert hashlib.sha256(b"weights").hexdigest() in done.err


def test_absent_files_are_named_with_their_sources(run: Run) -> None:
    done = run("verify", "bert-base")
    assert (done.code, done.out) == (1, "")
    assert "The files of preset 'bert-base' cannot be found" in done.err
    assert "uncased_L-12_H-768_A-12.zip" in done.err
