"""A user's own archive of weights, unpacked for as long as it is read."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from keras_pretrained.presets.located import SourceError, checkpoint_path

_SUFFIXES = (".tgz", ".tar.gz", ".tar.bz2", ".tar")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name. (Checkpoints of PyTorch are archives too.)"""
    return path.is_file() and (
        path.name.endswith(_SUFFIXES) or (path.suffix == ".zip" and zipfile.is_zipfile(path))
    )


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpacks an archive into a folder; what `open_checkpoint` takes of it.

    Raises:
        SourceError: it is broken or hostile, or holds no checkpoint, or several.
    """
    from keras_pretrained.presets.fetching.archives import unpack
    from keras_pretrained.presets.fetching.failure import FetchFailure

    try:
        names = unpack(archive, folder / "unpacked", archive.name)
    except (FetchFailure, tarfile.TarError) as error:
        reason = str(error).rstrip(".")
        raise SourceError(
            f"The archive {str(archive)!r} cannot be unpacked: {reason}. Get it again."
        ) from error
    root = folder / "unpacked"
    indexes = [name for name in names if name.endswith(".ckpt.index")]
    found = indexes or [name for name in names if name.endswith(_WEIGHTS)]
    if len(found) != 1:
        raise SourceError(
            f"The archive {str(archive)!r} holds {len(found) or 'no'} checkpoint(s). Expected one "
            f"(*.ckpt, *.ckpt.index, *.h5, *.pth, *.safetensors). It holds: "
            f"{', '.join(sorted(names)[:10]) or 'nothing'}."
        )
    return checkpoint_path(root / found[0])


_WEIGHTS = (".ckpt", ".h5", ".pth", ".safetensors")
