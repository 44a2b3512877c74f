"""`keras-pretrained fetch`: the files of a network onto this machine."""

from __future__ import annotations

import argparse

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.printing import emit

_DESCRIPTION = """\
Makes sure that the files of a preset, or those at an address, are on this machine, and prints the
folder that holds them. What is here already is not fetched again. Sizes and hashes are compared
with the published ones, where there are any. A terminal shows the progress.

ADDRESS is https://... (a file, an archive or a TF-Hub handle), hf://organisation/name,
kaggle://owner/model/framework/variation/version or pkg://package/path. Files are kept in
KERAS_PRETRAINED_HOME; with KERAS_PRETRAINED_OFFLINE=1 nothing is fetched, and what is absent is an
error.

Fails (exit code 1) when no source gives the right files: the message has every address, the
reason, and where to place the files by hand. No half-written file is left."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "fetch",
        run,
        "bring the files of a preset or an address to this machine",
        _DESCRIPTION,
        {
            "keras-pretrained fetch minilm-l6": "",
            "keras-pretrained fetch hf://google-bert/bert-base-uncased": "",
            "folder=$(keras-pretrained fetch minilm-l6 --quiet)": "for scripts",
        },
    )
    parser.add_argument("source", metavar="NAME|ADDRESS", help="a preset, an alias or an address")
    parser.add_argument("--force", action="store_true", help="fetch again what was fetched before")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    from keras_pretrained.presets import fetch

    located = fetch(arguments.source, progress=not arguments.quiet, force=arguments.force)
    emit(str(located.folder))
    return 0
