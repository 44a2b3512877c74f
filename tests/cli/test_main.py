"""Exit codes, errors without tracebacks, and what every command shares."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_pretrained import __version__
from keras_pretrained.cli.main import build_parser, main
from tests.cli.conftest import Run
from tests.cli.processes import interruptible

REPOSITORY = Path(__file__).parents[2]
COMMANDS = ("list", "info", "fetch", "verify", "inspect", "convert")
PROGRAM = [sys.executable, "-m", "keras_pretrained"]


def examples() -> list[str]:
    """Every command line in the helps and in the docs."""
    texts = [build_parser().format_help()]
    parsers = build_parser()._subparsers
    assert parsers is not None
    for action in parsers._group_actions:
        texts += [parser.format_help() for parser in dict(action.choices or {}).values()]
    texts.append((REPOSITORY / "docs" / "command_line.md").read_text(encoding="utf-8"))
    found = re.findall(
        r"^\s*(?:\$ |folder=\$\()?(keras-pretrained [a-z].*)$", "\n".join(texts), re.MULTILINE
    )
    return [re.split(r"  +|\)| \||  #", line)[0] for line in found if "COMMAND" not in line]


def test_every_example_of_the_helps_and_the_docs_is_a_valid_command() -> None:
    found = examples()
    assert {line.split()[1] for line in found} == set(COMMANDS)
    for line in found:
        arguments = build_parser().parse_args(shlex.split(line)[1:])
        assert arguments.run is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_and_says_when_it_fails(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert "examples:" in done.out
    assert f"keras-pretrained {command}" in done.out
    assert "\x1b" not in done.out


def test_the_help_names_every_command_and_exit_code(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert all(re.search(rf"^    {command} ", done.out, re.MULTILINE) for command in COMMANDS)
    assert "Exit code: 0 done, 1" in done.out
    assert run("--version").out == f"keras-pretrained {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("lists",),
        ("info",),
        ("list", "--colour"),
        ("list", "--js"),
        ("convert", "a", "b"),
        ("inspect", "x", "--grep", "["),
    ],
)
def test_wrong_usage_is_exit_code_2_on_standard_error(words: tuple[str, ...], run: Run) -> None:
    done = run(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("usage: keras-pretrained")
    assert "Traceback" not in done.err


def test_permissions_and_other_system_errors_are_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("keras_pretrained.cli.verifying.verify_files", denied)
    done = run("verify", "bert-tiny")
    assert done == (1, "", "keras-pretrained: Permission denied: /some/where\n")


def test_an_unexpected_error_says_how_to_report_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("keras_pretrained.cli.verifying.verify_files", broken)
    done = run("verify", "bert-tiny")
    assert done.code == 1
    assert "unexpected ZeroDivisionError: division by zero" in done.err
    assert "--traceback" in done.err
    with pytest.raises(ZeroDivisionError):
        main(["--traceback", "verify", "bert-tiny"])


def test_ctrl_c_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_pretrained.cli.verifying.verify_files", interrupted)
    assert run("verify", "bert-tiny") == (130, "", "keras-pretrained: interrupted.\n")


def test_control_characters_in_errors_are_escaped(run: Run, tmp_path: Path) -> None:
    done = run("inspect", str(tmp_path / "\x1b]0;owned\x07\u202ename"))
    assert done.code == 1
    assert r"\x1b]0;owned\x07\u202ename" in done.err
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err


CODE = """
import sys
from keras_pretrained.cli import main
code = main(sys.argv[1:])
heavy = {"keras", "tensorflow", "jax", "torch", "h5py", "numpy", "ml_dtypes"} & set(sys.modules)
print(code, sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", [("list",), ("list", "--json"), ("info", "bert-base"), ("info", "x"), ("--help",)]
)
def test_listing_and_looking_up_load_no_numpy_and_no_backend(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr.endswith(" []\n"), done.stderr


def test_the_module_and_the_entry_point_are_the_same_program() -> None:
    done = subprocess.run([*PROGRAM, "list", "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) > 30
    entries = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert 'keras-pretrained = "keras_pretrained.cli:main"' in entries


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("info", "bert-base")])
def test_a_reader_that_goes_away_is_no_error_message(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("keras-pretrained: No space left on device")
    assert "Traceback" not in done.stderr


SLOW = """
import sys, time
from keras_pretrained.cli import main, verifying
verifying.verify_files = lambda name: print("here", flush=True) or time.sleep(60)
sys.exit(main(["verify", "x"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupt_ends_the_program_without_a_traceback() -> None:
    process = interruptible("-c", SLOW)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "keras-pretrained: interrupted.\n")


def test_a_terminal_without_unicode_gets_escapes() -> None:
    code = "from keras_pretrained.cli.printing import emit; emit('caf\\u00e9 \\u4e2d')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, check=True
    )
    assert done.stdout == b"caf\\xe9 \\u4e2d\n"
