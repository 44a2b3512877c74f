"""Text is read as `float()` reads it, whatever stands in a line, and errors name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.word_vectors import open_word_vectors, streams
from keras_pretrained.checkpoints.word_vectors.decimals import MARGIN, NotANumber, parse_decimals
from keras_pretrained.checkpoints.word_vectors.lines import parse_lines

ODD = [
    *("0.418", "-0.41242", "1.5", "-1.5", "0", "-0", "-0.0", "7", "12.5", "-123.456", "+0.5"),
    *(".5", "5.", "1e-05", "-2.3456e-06", "1E3", "0.12345678", "0.123456789", "9.99999999999999"),
    *("0.12345678901234", "0.123456789012345", "0.1234567890123456789", "0.30000001192092896"),
    *("-0.00073692442452247787", "1.17549435e-38", "1e-46", "3.4e38", "0.00000001", "-9.99999"),
    *("1234567.5", "0.00000000000001", "-0.000000000000012345", "00.5", "000.125", "0.1"),
]


def parse(texts: list[str]) -> np.ndarray:
    data = np.frombuffer(b" " * MARGIN + " ".join(texts).encode() + b" ", np.uint8)
    lengths = np.array([len(text) for text in texts])
    starts = MARGIN + np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
    return parse_decimals(data, starts, starts + lengths)


def check(texts: list[str]) -> None:
    with np.errstate(over="ignore"):
        expected = np.array([np.float32(float(text)) for text in texts])
    received = parse(texts)
    np.testing.assert_array_equal(received.view(np.uint32), expected.view(np.uint32))


def test_odd_numbers() -> None:
    check(ODD)
    check(ODD * 3000)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
            st.floats(-10, 10).map("{:.5g}".format),
            st.from_regex(r"-?[0-9]\.[0-9]{1,20}", fullmatch=True),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_number(texts: list[str]) -> None:
    check(texts)


@pytest.mark.parametrize(
    "text", ["", "-", "0.", "x", "0.1.2", "0.12x4", "1_0", "0x1", "--1", "0,5", "٣.٤", "0.:"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    if text == "0.":
        check([text])
        return
    with pytest.raises(NotANumber) as caught:
        parse(["0.5", text, "0.5"])
    assert caught.value.index == 1


def test_words_may_hold_blanks_and_lines_may_end_oddly() -> None:
    text = b". . . 0.5 -1 0.25\nnew york 1 2 3 \nx\xc2\xa0y\t0.5\t0.5\t0.5\r\nlast 1.5 1.5 1.5 \r\n"
    words, vectors = parse_lines(text, 3)
    assert words == [b". . .", b"new york", b"x\xc2\xa0y", b"last"]
    assert vectors.tolist() == [[0.5, -1, 0.25], [1, 2, 3], [0.5] * 3, [1.5] * 3]
    assert parse_lines(b"\n", 3)[0] == []


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape") + end.encode())
    return path


def plain_lines(count: int, width: int = 4) -> list[str]:
    values = np.random.default_rng(1).normal(size=(count, width)).round(4)
    return [f"w{number} " + " ".join(map(str, row)) for number, row in enumerate(values.tolist())]


@pytest.mark.parametrize("chunk", [1, 7, 64, 2**20])
@pytest.mark.parametrize("end", ["\n", "", "\n\n", "\r\n"])
def test_pieces_may_end_anywhere(
    chunk: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHUNK", chunk)
    lines = plain_lines(40)
    path = write(tmp_path / "vectors.txt", lines, end)
    table = open_word_vectors(path).read()
    assert table.words == [f"w{number}" for number in range(40)]
    expected = np.array([line.split()[1:] for line in lines], np.float64).astype(np.float32)
    np.testing.assert_array_equal(table.vectors, expected)
    found = open_word_vectors(path).find(["w39", "w0"])
    assert found.words == ["w39", "w0"]
    np.testing.assert_array_equal(found.vectors, expected[[39, 0]])


def test_the_first_lines_may_be_odd(tmp_path: Path) -> None:
    """The width is what the first lines have in common; words may be numbers."""
    path = write(tmp_path / "v.txt", ["1 2 0.5 0.25", "3 0.5 0.5", "a 0.5 1"])
    table = open_word_vectors(path).read()
    assert (table.words, table.vectors.shape) == (["1 2", "3", "a"], (3, 2))


def test_repeated_and_empty_words_are_left_out(tmp_path: Path) -> None:
    lines = ["a 0.5 1", "b 1 1", "a 2 2", " 3 3", "c 4 4", "b 5 5"]
    path = write(tmp_path / "v.txt", lines)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        opened = open_word_vectors(path, cache=cache)
        table = opened.read()
        assert (table.words, table.repeated) == (["a", "b", "c"], 3)
        assert table.vectors.tolist() == [[0.5, 1], [1, 1], [4, 4]]
        assert opened.find(["b"]).vectors.tolist() == [[1, 1]]
        assert opened.read(limit=2).words == ["a", "b"]


def test_words_that_are_no_utf8_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"caf\xe9 0.5 0.5\ntea 1 1\n")
    assert open_word_vectors(path).read().words == ["caf\udce9", "tea"]
    latin = open_word_vectors(path, encoding="latin-1")
    assert latin.read().words == ["café", "tea"]
    assert latin.find(["café", "кофе"]).words == ["café"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("short 0.5 0.5 0.5", r"line 1501 \('short 0.5 0.5 0.5'\): has 3 values. Expected a word"),
        ("long 0.5 0.5 0.5 0.5 0.5", r"line 1501 \(.*\): has more than 4 values"),
        ("wrong 0.5 0.5 0.5 zero", r"line 1501 \(.*\): b'zero' is not a number"),
        ("", r"line 1501 \(''\): has 0 values"),
        ("gap 0.5  0.5 0.5", r"line 1501 \(.*\): b'' is not a number"),
        ("nothing nan 0.5 0.5 0.5", r"vector of 'nothing' holds a value that is infinite"),
    ],
)
def test_wrong_lines_are_named(line: str, message: str, tmp_path: Path) -> None:
    lines = plain_lines(3000)
    lines[1500] = line
    path = write(tmp_path / "vectors.txt", lines)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_word_vectors(path, cache=tmp_path / "cache").read()
    assert str(path) in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_headers_must_keep_their_promise(tmp_path: Path) -> None:
    path = write(tmp_path / "v.vec", ["5 4", *plain_lines(3)])
    with pytest.raises(CheckpointError, match="has 3 words, and its first line promises 5"):
        open_word_vectors(path).read()
    assert open_word_vectors(path).read(limit=2).words == ["w0", "w1"]
    path = write(tmp_path / "v.vec", ["3 5", *plain_lines(3)])
    with pytest.raises(CheckpointError, match=r"\(v\.vec|v\.vec"):
        open_word_vectors(path).read()
    path = write(tmp_path / "v.txt", ["no vectors here", "at all"])
    with pytest.raises(CheckpointError, match=r"known: GloVe or word2vec text"):
        open_word_vectors(path)
