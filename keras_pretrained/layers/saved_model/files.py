"""The files of a module: where they are, what identifies them, and how they travel.

Handles are fetched by `keras_pretrained.presets`, not by `tensorflow_hub`: its cache lies in the
system's temporary folder, knows no hashes, takes any folder that is not empty for a module, and
imports `pkg_resources`, which setuptools 82 no longer has. What lies in a cache of `tensorflow_hub`
that the user has named (`TFHUB_CACHE_DIR`) is used where it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary, finalize

from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.presets import resolve
from keras_pretrained.presets.fetching.entries import entry_of
from keras_pretrained.presets.fetching.names import UnsafeName, safe_name

GRAPH = "saved_model.pb"
ASSETS = "assets"
VARIABLES = "variables"
_MOST_FILES = 10_000
_KAGGLE_PAGE = re.compile(
    r"https://(?:www\.)?kaggle\.com/models/([\w-]+)/([\w-]+)/(?:frameworks/)?([\w-]+)"
    r"/(?:variations/)?([\w.-]+)/(?:versions/)?(\d+)/?",
    re.ASCII,
)


class ModuleError(ValueError):
    """A SavedModel cannot be used as a layer. The message says which, why, and what to do."""


@dataclass(frozen=True, eq=False)
class ModuleFiles:
    """A SavedModel's folder.

    Attributes:
        folder: where it lies.
        digest: SHA-256 over the names and contents of graph and assets. The variables belong to
            the layer and not to the module.
        handle: the address that it was fetched from, or None.
        name: for messages.
        state: whether the variables' files count as the module's, because they hold more than a
            layer can: the content of tables that change, for instance.
    """

    folder: Path
    digest: str
    handle: str | None = None
    name: str = ""
    state: bool = False

    def with_state(self) -> ModuleFiles:
        """The same files; those of the variables count."""
        return replace(self, state=True, digest=digest_of(self.folder, state=True))

    def is_unchanged(self) -> bool:
        """Whether the files are still those that the digest was made of."""
        try:
            return digest_of(self.folder, self.state) == self.digest
        except (OSError, ModuleError):
            return False

    def copy_to(self, target: Path) -> None:
        """Copies all that counts.

        Raises:
            ModuleError: it has changed.
        """
        if not self.is_unchanged():
            raise ModuleError(
                f"The SavedModel {str(self.folder)!r} has been changed or removed since the layer "
                "was made of it, and saving the layer copies it. Put it back, or make the layer "
                "from the folder as it is now."
            )
        for name in _file_names(self.folder, self.state):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, target / name)


KNOWN: WeakValueDictionary[str, ModuleFiles] = WeakValueDictionary()
"""Digest -> a module that is loaded in this process, for copies of its layer."""


def find_module(source: str | os.PathLike[str]) -> ModuleFiles:
    """The files of a folder, or of a handle, which are fetched if they are not here.

    Raises:
        ModuleError: there is no SavedModel.
        SourceError: it cannot be fetched; the message has the address and the reason.
    """
    text = os.fspath(source)
    if "://" not in text:
        folder = Path(text).expanduser()
        return _module(folder.parent if folder.name == GRAPH else folder, None, text)
    folder = _in_hub_cache(text) or resolve(_address(text)).folder
    return _module(folder, text, text)


def fetched_module(handle: str, digest: str, state: bool) -> ModuleFiles:
    """The files of a handle that are on this machine. Nothing is fetched.

    Raises:
        ModuleError: they are not here, or others than those of the digest.
    """
    address = _address(handle)
    entry = entry_of(address)
    folder = _in_hub_cache(handle) or (entry.content if entry.is_whole() else None)
    if folder is None:
        raise ModuleError(
            f"The module {handle} is not on this machine, and loading a model downloads nothing. "
            f"Fetch it first: `keras-pretrained fetch {address}`. On a machine without network, "
            f"copy the folder {entry.folder.name!r} of another machine's cache to "
            f"{entry.folder.parent}."
        )
    module = _module(folder, handle, handle, state)
    if module.digest != digest:
        raise ModuleError(
            f"The module {handle} in {folder} is not the one that the model was saved with: its "
            f"hash is {module.digest}. Expected {digest}. Fetch it again: `keras-pretrained fetch "
            f"--force {address}`."
        )
    return module


def private_copy(folder: Path, name: str, state: bool) -> ModuleFiles:
    """A copy of a module that goes when the last layer that uses it goes."""
    target = Path(tempfile.mkdtemp(prefix="keras_pretrained_module_"))
    original = _module(folder, None, name, state)
    original.copy_to(target)
    copy = replace(original, folder=target)
    finalize(copy, shutil.rmtree, target, ignore_errors=True)
    return copy


def digest_of(folder: Path, state: bool) -> str:
    """SHA-256 over names and contents of all files that count."""
    whole = hashlib.sha256()
    for name in _file_names(folder, state):
        with (folder / name).open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{content} {name}\n".encode())
    return whole.hexdigest()


def read_graph_file(folder: Path) -> memoryview:
    """The bytes of `saved_model.pb`; only a regular file is opened."""
    return memoryview(FileBytes(folder / GRAPH).buffer)


def _module(folder: Path, handle: str | None, name: str, state: bool = False) -> ModuleFiles:
    if not (folder / GRAPH).is_file():
        there = sorted(path.name for path in folder.iterdir())[:10] if folder.is_dir() else []
        hint = " It is in text form: save it again in binary." if f"{GRAPH}txt" in there else ""
        raise ModuleError(
            f"{name!r} is no SavedModel: expected a folder with {GRAPH!r} in it, or a handle such "
            f"as https://tfhub.dev/google/nnlm-en-dim50/2.{hint} Found in {folder}: "
            f"{', '.join(there) or 'nothing'}."
        )
    return ModuleFiles(folder, digest_of(folder, state), handle, name, state)


def _file_names(folder: Path, state: bool) -> list[str]:
    """Relative names of the graph, the assets and, if they count, the variables, in order."""
    names = [GRAPH]
    for part in (ASSETS, VARIABLES) if state else (ASSETS,):
        for path in (folder / part).rglob("*") if (folder / part).is_dir() else ():
            if not path.is_file():
                continue
            try:
                names.append(safe_name(path.relative_to(folder).as_posix()))
            except UnsafeName as error:
                raise ModuleError(f"The SavedModel {str(folder)!r}: {error}.") from error
            if len(names) > _MOST_FILES:
                raise ModuleError(f"The SavedModel {str(folder)!r} has over {_MOST_FILES} files.")
    return sorted(names)


def _address(handle: str) -> str:
    """The handle as our own fetching knows it: TF-Hub's modules have moved to Kaggle."""
    page = _KAGGLE_PAGE.fullmatch(handle)
    return f"kaggle://{'/'.join(page.groups())}" if page else handle


def _in_hub_cache(handle: str) -> Path | None:
    """Where `tensorflow_hub` has put a module, if the user told it where."""
    cache = os.environ.get("TFHUB_CACHE_DIR")
    if not cache:
        return None
    folder = Path(cache).expanduser() / hashlib.sha1(handle.encode()).hexdigest()
    return folder if (folder / GRAPH).is_file() else None
