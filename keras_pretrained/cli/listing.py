"""`keras-pretrained list`: what exists."""

from __future__ import annotations

import argparse

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.info import plain
from keras_pretrained.cli.printing import complain, emit, emit_json, table
from keras_pretrained.presets import list_presets, preset_info

_DESCRIPTION = """\
Lists presets, one a line: name, family, number of parameters, what it is. There is no
headline, so the first word of every line is a name. With --json: an array of objects.

Fails (exit code 1) when nothing matches."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "list",
        run,
        "the presets that exist",
        _DESCRIPTION,
        {
            "keras-pretrained list": "all of them",
            "keras-pretrained list '*uncased*'": "names and aliases with wildcards, quoted",
            "keras-pretrained list --family resnet": "one family",
            "keras-pretrained list --family bert --json": "for programs",
        },
    )
    parser.add_argument(
        "pattern",
        nargs="?",
        default="*",
        metavar="PATTERN",
        help="a name or alias; *, ? and [...] are wildcards",
    )
    parser.add_argument("--family", help="only the networks of one family, e.g. bert")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    presets = [preset_info(name) for name in list_presets(arguments.pattern, arguments.family)]
    if arguments.json:
        emit_json(
            [
                {
                    "name": preset.name,
                    "family": preset.family,
                    "parameters": preset.parameters,
                    "description": preset.description,
                    "aliases": list(preset.aliases),
                    "languages": list(preset.languages),
                    "licence": preset.licence,
                    "image": plain(preset.image),
                }
                for preset in presets
            ]
        )
    rows = [
        (preset.name, preset.family, f"{preset.parameters:,}", preset.description)
        for preset in presets
    ]
    if not arguments.json:
        for line in table(rows, right=(2,)):
            emit(line)
    if not presets:
        wider = "" if any(mark in arguments.pattern for mark in "*?[") else f"*{arguments.pattern}*"
        hint = f" Try the pattern {wider!r}." if wider else ""
        complain(f"keras-pretrained: no preset matches {arguments.pattern!r}.{hint}")
    return 0 if presets else 1
