"""`keras-pretrained info`: one preset, and whether its files are here."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from datetime import date
from typing import Any

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.printing import emit, emit_json
from keras_pretrained.presets import SourceError, find_preset, preset_info

_DESCRIPTION = """\
Prints what is known of one preset: architecture, tokenizer or preparation of images, published
accuracy, licence, paper, sources, and the folder of its files where they are on this machine;
nothing is fetched. With --json: one object, with file sizes and hashes; `folder` is null when the
files are not here."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "info",
        run,
        "one preset: sizes, licence, paper, sources",
        _DESCRIPTION,
        {
            "keras-pretrained info bert-base": "",
            "keras-pretrained info bert-base-uncased": "by an alias",
            "keras-pretrained info resnet-v1-50": "an image network",
            "keras-pretrained info minilm-l6 --json": "for programs",
        },
    )
    parser.add_argument("name", metavar="NAME", help="a preset or one of its aliases")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    preset = preset_info(arguments.name)
    try:
        here, problem = find_preset(preset), None
    except SourceError as error:
        here, problem = None, str(error)
    if arguments.json:
        record = plain({f.name: getattr(preset, f.name) for f in dataclasses.fields(preset)})
        del record["stated_parameters"]
        record["parameters"] = preset.parameters
        record["folder"] = str(here.folder) if here else None
        emit_json(record)
        return 0
    for line in str(preset).split("\n"):
        emit(line)
    absent = problem or f"not on this machine: keras-pretrained fetch {preset.name}"
    if not preset.sources:
        absent = "never published; a checkpoint of your own is given by its path"
    emit(f"  {'files':<13} {here.folder if here else absent}")
    return 0


def plain(value: Any) -> Any:
    """A record as what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value
