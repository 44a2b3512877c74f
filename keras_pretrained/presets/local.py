"""A user's own folder or file as the source of a network."""

from __future__ import annotations

import re
from pathlib import Path

from keras_pretrained.presets.located import (
    Located,
    SourceError,
    checkpoint_path,
    exists_as_checkpoint,
)

_CONFIGS = ("config.json", "bert_config.json", "albert_config.json", "hparams.json", "options.json")
_VOCABULARIES = (
    *("vocab.txt", "assets/vocab.txt", "spiece.model", "30k-clean.model"),
    *("itos_wt103.pkl", "itos.pkl"),
)
_OTHER_NAMES = ("saved_model.pb", "checkpoint")
_WEIGHTS = re.compile(r".+\.(safetensors|bin|pt|pth|h5|hdf5|keras|npz|npy|index|ckpt)")
_SHOWN = 10


def inspect_path(path: Path, name: str) -> Located:
    """The checkpoint, configuration and vocabulary at a path.

    Args:
        path: a folder as its authors publish it, or one that holds exactly one such folder, as
            archives unpack; or a checkpoint file or prefix, or a configuration, with the other
            files beside it.
        name: what the user wrote, for error messages.

    Raises:
        SourceError: nothing is there, or it is not clear which of several folders is meant.
    """
    if path.is_dir():
        folder = _content_folder(path, name)
        weights = folder
    else:
        if not exists_as_checkpoint(path):
            raise SourceError(_nothing_at(path, name))
        folder = path.parent
        weights = checkpoint_path(path) if path.suffix != ".json" else _weights_of(path)
    return Located(
        name=name,
        folder=folder,
        weights=weights,
        config=_config_of(path, folder),
        vocabulary=_first_file(folder, _VOCABULARIES) or _only_file(folder, "*itos*.pkl"),
    )


# AllenNLP's files of several networks lie in one folder under names such as these.
_OPTIONS, _OPTIONS_OF = "_options.json", "_weights.hdf5"


def _config_of(path: Path, folder: Path) -> Path | None:
    if path.suffix == ".json" and path.is_file():
        return path
    beside = path.with_name(path.name.removesuffix(_OPTIONS_OF) + _OPTIONS)
    if path.name.endswith(_OPTIONS_OF) and beside.is_file():
        return beside
    return _first_file(folder, _CONFIGS) or _only_file(folder, f"*{_OPTIONS}")


def _weights_of(config: Path) -> Path:
    """What belongs to a configuration file: the weights of its name, or those in its folder."""
    named = config.with_name(config.name.removesuffix(_OPTIONS) + _OPTIONS_OF)
    return named if config.name.endswith(_OPTIONS) and named.is_file() else config.parent


def subfolders(folder: Path) -> list[Path]:
    """The visible folders inside a folder, without what macOS adds to archives."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def _content_folder(path: Path, name: str) -> Path:
    if _holds_files(path):
        return path
    inner = [folder for folder in subfolders(path) if _holds_files(folder)]
    if len(inner) == 1:
        return inner[0]
    if inner:
        raise SourceError(
            f"The folder {name!r} holds several checkpoints: "
            f"{_shortened([folder.name for folder in inner])}. Give the path of one of them."
        )
    if any(entry.is_file() for entry in path.iterdir()):
        # A format whose file names say nothing: open_checkpoint looks into the files.
        return path
    raise SourceError(
        f"The folder {name!r} ({path.absolute()}) holds no checkpoint. Expected weights (such as "
        "model.safetensors, pytorch_model.bin, bert_model.ckpt.index or saved_model.pb) with "
        "config.json or bert_config.json and vocab.txt, in it or in its only sub-folder. Found: "
        f"{_shortened(sorted(entry.name for entry in path.iterdir())) or 'nothing'}."
    )


def _holds_files(folder: Path) -> bool:
    known = (*_CONFIGS, *_VOCABULARIES, *_OTHER_NAMES)
    return any((folder / name).is_file() for name in known) or any(
        _WEIGHTS.fullmatch(entry.name) and entry.is_file() for entry in folder.iterdir()
    )


def _first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _only_file(folder: Path, pattern: str) -> Path | None:
    found = [entry for entry in folder.glob(pattern) if entry.is_file()]
    return found[0] if len(found) == 1 else None


def _nothing_at(path: Path, name: str) -> str:
    parent = path.absolute().parent
    if parent.is_dir():
        names = sorted(entry.name for entry in parent.iterdir())
        there = f"{parent} holds: {_shortened(names) or 'nothing'}."
    else:
        there = f"Its folder {parent} does not exist either."
    return f"No file or folder {name!r} (as a path: {path.absolute()}). {there}"


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
