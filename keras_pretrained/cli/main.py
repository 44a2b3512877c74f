"""The parser, and what becomes of errors: one message, one exit code, no traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from keras_pretrained import __version__
from keras_pretrained.cli import converting, fetching, info, inspecting, listing, verifying
from keras_pretrained.cli.printing import complain, flush

_OK, _FAILED, _USAGE = 0, 1, 2
# What a shell reports for a program that its signal ended: 128 + the signal's number.
_INTERRUPTED, _BROKEN_PIPE = 130, 141

_DESCRIPTION = """\
Classic pretrained checkpoints: what exists, where the files are, what is in them.

A NAME is a preset; `keras-pretrained list` prints all of them."""

_EPILOG = """\
examples:
  keras-pretrained list 'bert-*'              what exists
  keras-pretrained info minilm-l6             one preset: sizes, licence, paper, sources
  keras-pretrained fetch minilm-l6            bring its files to this machine
  keras-pretrained verify minilm-l6           compare them with the published hashes
  keras-pretrained inspect model.safetensors  what a file holds; nothing in it is run
  keras-pretrained convert minilm-l6 bert/ --to google

Results go to standard output, errors and progress to standard error.
Exit code: 0 done, 1 it failed (one message says why), 2 wrong usage, 130 interrupted,
141 the reader of a pipe has gone.
`keras-pretrained COMMAND --help` has the details of each."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        "keras-pretrained",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"keras-pretrained {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show Python's traceback of an error, to report it"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (listing, info, fetching, verifying, inspecting, converting):
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words behind `keras-pretrained`; by default those of this process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 a reader has gone.
    """
    show_traceback = False
    try:
        arguments = build_parser().parse_args(argv)
        show_traceback = arguments.traceback
        code = arguments.run(arguments)
        flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else _OK
    except KeyboardInterrupt:
        complain("keras-pretrained: interrupted.")
        return _INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return _BROKEN_PIPE
    except Exception as error:
        if show_traceback:
            raise
        complain(f"keras-pretrained: {_message(error)}")
        return _FAILED


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{where}"
    # All errors of this library are ValueErrors (or OSErrors, or ImportErrors with advice).
    if isinstance(error, ValueError | OSError | ImportError):
        return str(error)
    return (
        f"unexpected {type(error).__name__}: {error}\nThe file may be damaged, or this is a bug: "
        "`keras-pretrained --traceback COMMAND ...` shows where it happened."
    )


def _forget_output() -> None:
    """Python flushes standard output once more at its end, which must not fail again."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
