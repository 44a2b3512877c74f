from __future__ import annotations

import os
from pathlib import Path

import pytest

from keras_pretrained.presets import SourceError, read_json


def test_reads_objects(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"hidden_size": 4, "name": "\xc3\xa9"}')
    assert read_json(path) == read_json(str(path)) == {"hidden_size": 4, "name": "é"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a valid JSON"),
        (b"{", "not a valid JSON"),
        (b"\xff\xfe{}", "not a valid JSON"),
        (b"[" * 200_000, "not a valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not a valid JSON"),
        (b"[1]", "holds a JSON list. Expected an object"),
        (b"3", "holds a JSON int"),
        (b"{}" + b" " * 5_000_000, r"larger than 4,194,304 bytes \(5,000,002\)"),
    ],
    ids=["empty", "cut", "utf16", "deep", "digits", "list", "number", "large"],
)
def test_refuses(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_limit_and_kind(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a": 1}')
    assert read_json(path, limit=8) == {"a": 1}
    with pytest.raises(SourceError, match="larger than 7 bytes"):
        read_json(path, limit=7)
    for other in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SourceError, match="is not a file"):
            read_json(other)


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_pipes_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is not a file"):
        read_json(tmp_path / "pipe")
