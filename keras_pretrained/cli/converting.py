"""`keras-pretrained convert`: from one dialect to another, through the layer, and checked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_pretrained.cli.command import Commands, add_command
from keras_pretrained.cli.placing import Target, TargetError, placed
from keras_pretrained.cli.printing import emit, flush

if TYPE_CHECKING:
    import numpy as np

    from keras_pretrained.checkpoints import Checkpoint

_SUFFIXES = {
    "safetensors": ".safetensors",
    "tf-bundle": ".ckpt",
    "torch": ".pt",
    "hdf5": ".hdf5",
}

_DESCRIPTION = """\
Loads SOURCE into its layer and writes the layer's weights in another dialect: a naming scheme
with its layout and its container. Only what the layer holds is written: no pre-training heads,
no optimizer slots. Prints the load report (what was read, and what was left out and why), the
files written, and the outcome of reading them again and comparing every tensor.

TARGET without a suffix, or with a slash at its end, is a folder as the dialect's authors publish
it, with configuration and vocabulary. With a suffix it is the weights alone: `x.safetensors`, or
the prefix `x.ckpt` of a TensorFlow checkpoint.

Fails (exit code 1) when a tensor on either side is left over, when TARGET exists (--force
replaces it), or when what was written does not read back equal. Then nothing is written."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "convert",
        run,
        "write a checkpoint in another dialect",
        _DESCRIPTION,
        {
            "keras-pretrained convert uncased_L-12_H-768_A-12/ bert-hf --to hf": "a folder",
            "keras-pretrained convert minilm-l6 minilm.ckpt --to google": "the weights alone",
            "keras-pretrained convert net/ out/ --from google --to hf": "if names do not tell",
        },
    )
    parser.add_argument("source", metavar="SOURCE", help="a preset, a folder, or a file")
    parser.add_argument("target", metavar="TARGET", help="what to write")
    parser.add_argument(
        "--to", required=True, metavar="DIALECT", help="e.g. hf, google, tf-models; see `info`"
    )
    parser.add_argument(
        "--from",
        dest="from_dialect",
        default="auto",
        metavar="DIALECT",
        help="of SOURCE, when its names do not tell",
    )
    parser.add_argument(
        "--family", help="of SOURCE, when neither its configuration nor its names tell"
    )
    parser.add_argument("--force", action="store_true", help="replace TARGET if it exists")


def run(arguments: argparse.Namespace) -> int:
    from keras_pretrained.cli.networks import family_of, layer_of, weight_maps

    target = Target.parse(arguments.target)
    target.check(arguments.force)
    family = arguments.family or family_of(arguments.source)
    builder = layer_of(family)
    maps = weight_maps(builder)
    _check_dialect("--to", arguments.to, family, [*maps])
    _check_dialect("--from", arguments.from_dialect, family, ["auto", *maps])
    container = maps[arguments.to].container
    _check_suffix(target, arguments.to, container)

    layer = builder(arguments.source, dialect=arguments.from_dialect)
    report = layer.load_report
    for line in f"read     {report}\nnothing is missing".split("\n"):
        emit(line if line.startswith("read") else f"         {line.strip()}")
    flush()
    with placed(target) as path:
        written = _written(layer, path, arguments.to)
        types = _types(written, written), _types_read(report)
        count = _checked(layer, path, target.folder, arguments.to)
        sizes = {file.name: file.stat().st_size for file in _files(path, target.folder)}
    emit(f"wrote    {target.path} ({container}, dialect {arguments.to!r})")
    for name, size in sizes.items():
        emit(f"         {name}  {size:,} bytes")
    if types[0] != types[1]:
        emit(f"         as {', '.join(types[0])}; the source holds {', '.join(types[1])}")
    emit(
        f"checked  read again: {len(written):,} tensors are {count:,} variables, bit for bit those "
        "that were read"
    )
    return 0


def _check_dialect(option: str, dialect: str, family: str, allowed: list[str]) -> None:
    if dialect not in allowed:
        raise TargetError(
            f"Family {family!r} has no dialect {dialect!r} ({option}). Expected one of: "
            f"{', '.join(allowed) or 'none: it cannot be converted'}."
        )


def _check_suffix(target: Target, dialect: str, container: str) -> None:
    suffix, name = _SUFFIXES[container], target.path.name
    # Training programs number their checkpoints: model.ckpt-1000.
    fits = name.endswith(suffix) or (container == "tf-bundle" and f"{suffix}-" in name)
    if not target.folder and not fits:
        raise TargetError(
            f"Dialect {dialect!r} is written as {container}: expected a TARGET like "
            f"'{target.path.stem}{suffix}', or a slash at its end for a folder. Received: {name!r}"
        )


def _written(layer: Any, path: Path, dialect: str) -> Checkpoint:
    from keras_pretrained.checkpoints import open_checkpoint

    try:
        return open_checkpoint(layer.save_weights_as(path, dialect=dialect))
    except (ValueError, OSError):
        raise
    except Exception as error:
        # TensorFlow has error types of its own, for a full disk as well.
        raise TargetError(f"The checkpoint cannot be written: {error}") from error


def _checked(layer: Any, path: Path, folder: bool, dialect: str) -> int:
    """Reads what was written as a user would and compares it; returns the number of variables."""
    before = dict(_values(layer))
    if folder:
        again = type(layer)(path, dialect=dialect)
        _compare_settings(layer.get_config(), again.get_config())
    else:
        again = layer
        layer.load_weights_from(path, dialect=dialect)
    after = dict(_values(again))
    different = [
        name
        for name in sorted(before.keys() | after.keys())
        if name not in before
        or name not in after
        or before[name].dtype != after[name].dtype
        or before[name].tobytes() != after[name].tobytes()
    ]
    if different:
        raise TargetError(
            f"What was written does not read back equal, so it was removed. Different variables "
            f"({len(different)}): {', '.join(different[:20])}. Please report this."
        )
    return len(after)


def _compare_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for key in ("architecture", "tokenizer"):
        if before.get(key) != after.get(key):
            raise TargetError(
                f"The {key} does not read back equal from the files that were written, so they "
                f"were removed. Before: {before.get(key)}. After: {after.get(key)}. Please report "
                "this."
            )


def _values(layer: Any) -> Iterator[tuple[str, np.ndarray]]:
    import keras
    import numpy

    for name, variable in layer.network_variables().items():
        # A copy: the backend may hand out its own memory.
        yield name, numpy.array(keras.ops.convert_to_numpy(variable))


def _types_read(report: Any) -> list[str]:
    from keras_pretrained.checkpoints import open_checkpoint

    names = {name for names in report.loaded.values() for name in names}
    return _types(open_checkpoint(report.path), names)


def _types(checkpoint: Checkpoint, names: Any) -> list[str]:
    return sorted({str(checkpoint[name].dtype) for name in names})


def _files(path: Path, folder: bool) -> list[Path]:
    return sorted((path if folder else path.parent).iterdir())
