"""`keras-pretrained verify`: are these the published files?"""

from __future__ import annotations

import argparse

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.printing import emit, table
from keras_pretrained.presets import verify_files

_DESCRIPTION = """\
Reads every file of a preset on this machine and compares it with the digest that was published:
a SHA-256, its first digits, or an MD5. Prints one line a file: `ok`, or `no hash` where none was
published (the file was only read), then its role, its SHA-256 and its path.

Fails (exit code 1) when a file is absent or another than the published one."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "verify",
        run,
        "compare a preset's files with the published hashes",
        _DESCRIPTION,
        {"keras-pretrained verify minilm-l6": ""},
    )
    parser.add_argument("name", metavar="NAME", help="a preset or one of its aliases")


def run(arguments: argparse.Namespace) -> int:
    rows = [
        ("ok" if check.published else "no hash", check.role, check.sha256, str(check.path))
        for check in verify_files(arguments.name)
    ]
    for line in table(rows):
        emit(line)
    return 0
