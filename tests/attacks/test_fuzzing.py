"""Honest files with damage that gets past their checksums: each is refused properly, or read.

Every reader has its own process, in which nothing else may happen: no crash, no hang, nothing
run, opened or imported, and no more memory than the stored bytes justify. `fuzzing/guard.py` is
what watches. The same numbers make the same cases: to see one again,

    python -m tests.attacks.fuzzing.worker "torch zip" 17 1 SEEDS WORK
"""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keras_pretrained.checkpoints.hdf5_checksums import fletcher32, lookup3
from tests.attacks.fuzzing.campaign import Report, fuzz
from tests.attacks.fuzzing.protobuf_tree import encoded, parsed
from tests.attacks.fuzzing.targets import NAMES, targets
from tests.attacks.fuzzing.targets.tensorflow import bundle_files, v1_entries
from tests.attacks.fuzzing.zip_parts import Part, packed

CASES = 200
MANY_CASES = 10_000

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the guard reads /proc")


def run(name: str, first: int, count: int, seeds: Path, work: Path) -> Report:
    report = fuzz(name, first, count, seeds, work, seconds=120 + 0.2 * count)
    print(f"\n{report}")
    for place, times in report.places:
        print(f"{times:>10} {place}")
    assert not report.failures, "\n\n".join(f"case {n}: {what}" for n, what in report.failures)
    assert report.cases == count
    minimum = targets(seeds)[name]().minimum
    assert report.share >= minimum, f"only {report.share:.1%} of the cases reached the parser"
    return report


@needs_linux
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(name: str, seeds: Path, tmp_path: Path) -> None:
    report = run(name, 0, CASES, seeds, tmp_path)
    # Damage of which nothing is refused, or everything, would test nothing.
    assert report.refused > CASES // 20
    assert report.read > CASES // 20


@needs_linux
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_many_damaged_files(name: str, seeds: Path, tmp_path: Path) -> None:
    run(name, CASES, MANY_CASES, seeds, tmp_path)


# The guard itself


@needs_linux
def test_a_crash_and_a_hang_are_failures(
    seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = fuzz("no such reader", 0, 1, seeds, tmp_path / "a", seconds=60)
    assert "KeyError" in report.failures[0][1]
    report = fuzz("safetensors", 0, 10**9, seeds, tmp_path / "b", seconds=2)
    assert "more than 2 seconds" in report.failures[0][1]
    assert report.failures[0][0] > 0


ACTIONS = {
    "os.system('true')": "os.system",
    "__import__('colorsys')": "import",
    "exec('1')": "compile|exec",
    "(lambda: 0).__code__": "__getattr__",
    "compile('1', 'x', 'eval')": "compile",
    r"pickle.loads(b'cos\nsystem\n.')": "pickle.find_class",
    "subprocess.run(['true'])": "subprocess|fork_exec",
    "socket.socket()": "socket",
    "open(folder / 'new', 'w')": "open",
    "open('/etc/passwd')": "open",
    "open(folder / '../secret')": "open",
    "os.remove(folder / 'x')": "os.remove",
    "np.ones(1_000_000)": "allocated",
    "[n for n in range(10**9) if time.process_time() > end and 1 / 0]": "seconds",
    "(folder / 'x').read_bytes()": "",
    "sorted(folder.iterdir())": "",
    "np.ones(10)": "",
}
HEAD = """
import json, os, pickle, socket, subprocess, sys, time
from pathlib import Path
import numpy as np
from tests.attacks.fuzzing import guard as guard_module
guard_module.CASE_SECONDS = 0.5
guard = guard_module.Guard()
folder = Path(sys.argv[1])
"""
ONE = """
end = time.process_time() + 0.7
seen = ""
try:
    with guard.watching(folder, 1_000_000):
        try:
            {action}
        except Exception:
            pass
except guard_module.Violation as violation:
    seen = str(violation)
print(json.dumps(seen))
"""


@needs_linux
def test_the_guard_sees_what_reading_does_not_do(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    program = HEAD + "".join(ONE.format(action=action) for action in ACTIONS)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    for (action, problem), found in zip(ACTIONS.items(), seen, strict=True):
        assert re.search(problem, found) if problem else not found, (action, found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]


# The repairers


def test_the_archives_are_ones_that_others_read(tmp_path: Path) -> None:
    for wide in (False, True):
        parts = [Part("a", b"x" * 99), Part("b/c", b"y" * 99, 8, {}, wide)]
        with zipfile.ZipFile(io.BytesIO(packed(parts, padding=7))) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == {
                "a": b"x" * 99,
                "b/c": b"y" * 99,
            }


def test_messages_are_encoded_as_they_were() -> None:
    chance = random.Random(0)
    for _, value in [*bundle_files()[0], *v1_entries()]:
        fields = parsed(value)
        assert fields is not None
        assert encoded(fields) == value
    for _ in range(100):
        data = chance.randbytes(chance.randrange(20))
        fields = parsed(data)
        assert fields is None or parsed(encoded(fields)) == fields


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # From the comments of Bob Jenkins' lookup3.c.
        (b"", 0xDEADBEEF),
        (b"Four score and seven years ago", 0x17770551),
    ],
)
def test_the_hash_of_hdf5(data: bytes, expected: int) -> None:
    assert lookup3(data) == expected


def test_the_checksum_of_chunks_is_fletchers() -> None:
    # The example of Wikipedia's article, its words little-endian there and big-endian here.
    assert fletcher32(b"badcfe") == 0x56502D2A
    assert fletcher32(bytes(1000)) == 0
    assert fletcher32(b"\xff" * 2000) == 0xFFFFFFFF


def _slow_fletcher(data: bytes) -> int:
    first = second = 0
    for at in range(0, len(data), 2):
        word = int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        first += word
        second += first
        first = (first & 0xFFFF) + (first >> 16)
        second = (second & 0xFFFF) + (second >> 16)
    return second << 16 | first


def test_the_checksum_over_several_blocks() -> None:
    data = random.Random(1).randbytes(300_001)
    assert fletcher32(data) % 0x10000 % 0xFFFF == _slow_fletcher(data) % 0x10000 % 0xFFFF
    assert (fletcher32(data) >> 16) % 0xFFFF == (_slow_fletcher(data) >> 16) % 0xFFFF
