"""`keras-pretrained inspect`: what a checkpoint holds. Nothing in it is run."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.printing import emit, emit_json, flush, table

_CONTAINERS = {
    "safetensors": "safetensors",
    "torch-zip": "PyTorch (zip)",
    "torch-legacy": "PyTorch (stream, before torch 1.6)",
    "tf-bundle": "TensorFlow checkpoint (V2)",
    "tf-v1": "TensorFlow checkpoint (V1)",
    "saved-model": "TensorFlow SavedModel",
    "keras": "Keras (.keras)",
    "keras-weights-h5": "Keras weights (HDF5)",
    "keras-h5": "Keras of before version 3 (HDF5)",
    "hdf5": "HDF5",
    "npz": "NumPy (.npz)",
    "npy": "NumPy (.npy)",
}
# TensorFlow 1's names beside the variable, object-based checkpoints, Keras and PyTorch trainers.
_SLOT = re.compile(
    r".+/(adam_[mv]|(Adam|AdamW|Momentum|RMSProp|Adagrad|Adadelta|Ftrl|LAMB)(_\d)?)"
    r"|.+/\.OPTIMIZER_SLOT/.+|(.+/)?optimizer(_weights)?/.+|optimizer(_states?)?\..+"
)
_SAMPLE = 10

_DESCRIPTION = """\
Prints the container, the number of tensors, their values, bytes and types, what the file says
of itself, the first tensors, and the family and dialect whose names they are. The file is only
read: no program in it is run, and no tensor is loaded. With --json: one object with all
tensors.

FILE is a file, a folder, the prefix of a TensorFlow checkpoint, or a preset or address, which is
fetched if it is not here. Control characters in names are printed as escapes. Telling the
family loads Keras, which takes seconds; --no-family leaves that out.

Fails (exit code 1) when the file is damaged or of an unknown kind."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "inspect",
        run,
        "what a checkpoint file holds",
        _DESCRIPTION,
        {
            "keras-pretrained inspect bert_model.ckpt": "a summary",
            "keras-pretrained inspect model.safetensors --tensors": "and every tensor",
            "keras-pretrained inspect net.h5 --grep 'bias$'": "the tensors of matching names",
            "keras-pretrained inspect net.pth --json": "for programs",
        },
    )
    parser.add_argument("file", metavar="FILE", help="a checkpoint file, folder or preset")
    parser.add_argument("--tensors", action="store_true", help="print every tensor")
    parser.add_argument(
        "--grep",
        type=_pattern,
        metavar="PATTERN",
        help="print the tensors whose names match a regular expression",
    )
    parser.add_argument(
        "--no-family",
        action="store_true",
        help="do not look for the family: faster, loads no Keras",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no regular expression: {error}. (For a plain [ or ( write \\[ or \\(.)"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    from keras_pretrained.checkpoints import open_checkpoint
    from keras_pretrained.cli.bounded import bounded
    from keras_pretrained.presets import resolve

    checkpoint = open_checkpoint(resolve(arguments.file).weights)
    grep = arguments.grep
    chosen = [name for name in checkpoint if grep is None or grep.search(name)]
    if arguments.json:
        emit_json(
            {
                **_summary(checkpoint),
                "metadata": bounded(checkpoint.metadata),
                "fits": None if arguments.no_family else [vars(fit) for fit in _fits(checkpoint)],
                "arrays": [
                    {
                        "name": name,
                        "shape": list(checkpoint[name].shape),
                        "dtype": str(checkpoint[name].dtype),
                    }
                    for name in chosen
                ],
            }
        )
        return 0
    for line in _summary_lines(checkpoint):
        emit(line)
    shown = chosen if arguments.tensors or grep is not None else chosen[:_SAMPLE]
    emit()
    rows = [
        (name, str(list(checkpoint[name].shape)), str(checkpoint[name].dtype)) for name in shown
    ]
    for line in table(rows):
        emit(line)
    if len(shown) < len(chosen):
        emit(f"... and {len(chosen) - len(shown)} more (--tensors prints all)")
    if grep is not None:
        emit(f"{len(chosen)} of {len(checkpoint)} names match {grep.pattern!r}")
    if not arguments.no_family:
        emit()
        # Loading Keras takes seconds: what is known is on the screen before.
        flush()
        for line in _fit_lines(checkpoint):
            emit(line)
    return 0


def _summary(checkpoint: Any) -> dict[str, Any]:
    slots = [name for name in checkpoint if _SLOT.fullmatch(name)]
    weights = set(checkpoint) - set(slots)
    return {
        "path": str(checkpoint.path),
        "format": checkpoint.format,
        "container": container_name(checkpoint.format),
        "tensors": len(checkpoint),
        "optimizer_slots": len(slots),
        "parameters": sum(checkpoint[name].size for name in weights),
        "bytes": sum(array.nbytes for array in checkpoint.values()),
        "dtypes": dict(Counter(str(array.dtype) for array in checkpoint.values()).most_common()),
    }


def container_name(format: str) -> str:
    """A container in words; shards of several formats are joined by `+`."""
    return " + ".join(_CONTAINERS.get(part, part) for part in format.split("+"))


def _summary_lines(checkpoint: Any) -> Iterator[str]:
    found = _summary(checkpoint)
    slots = found["optimizer_slots"]
    yield str(checkpoint.path)
    yield from table(
        [
            ("  container", found["container"]),
            ("  tensors", f"{found['tensors']:,}"),
            (
                "  parameters",
                f"{found['parameters']:,}" + (" without optimizer slots" if slots else ""),
            ),
            *([("  optimizer", f"{slots:,} slots")] if slots else []),
            ("  bytes", f"{found['bytes']:,}"),
            ("  types", ", ".join(f"{n:,} {dtype}" for dtype, n in found["dtypes"].items())),
            *_metadata_rows(checkpoint.metadata),
        ]
    )


def _metadata_rows(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from keras_pretrained.checkpoints.describe import describe

    told = {key: value for key, value in metadata.items() if value not in ({}, [], ())}
    for key, value in list(told.items())[:_SAMPLE]:
        text = f"{len(value):,} entries" if isinstance(value, dict) else describe(value)
        yield f"  {key}", text
    if len(told) > _SAMPLE:
        yield "  ...", f"{len(told) - _SAMPLE:,} more entries of metadata (--json has them)"


def _fits(checkpoint: Any) -> list[Any]:
    from keras_pretrained.cli.networks import fitting

    return fitting(checkpoint)


def _fit_lines(checkpoint: Any) -> Iterator[str]:
    fits = _fits(checkpoint)
    for fit in fits:
        yield (
            f"family {fit.family!r}, dialect {fit.dialect!r}: {fit.known} tensors are its weights, "
            f"{fit.ignored} are left out by name, {fit.unknown} unknown"
        )
    if not fits:
        yield "family: none that this version knows speaks these names"
