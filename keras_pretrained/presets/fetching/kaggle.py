"""`kaggle://owner/model/framework/variation/version`: Kaggle Models, through `kagglehub`.

The library downloads, resumes, checks and unpacks; it writes into our staging folder in place of
its own cache, so that what it leaves behind after a crash is never taken for whole.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_pretrained.presets.fetching.failure import Absent, FetchFailure, disk_failure
from keras_pretrained.presets.fetching.fetched import Fetched, Order
from keras_pretrained.presets.fetching.files import remove, staged
from keras_pretrained.presets.fetching.names import UnsafeName, safe_name

_ADDRESS = re.compile(r"kaggle://([\w-]+/[\w.-]+/\w+/[\w.-]+/\d+)", re.ASCII)


def fetch_from_kaggle(order: Order) -> Fetched:
    """The files of a model version: all of them, or those of some roles."""
    source = order.source
    match = _ADDRESS.fullmatch(source.address)
    if not match:
        raise FetchFailure(
            "wrong address; expected kaggle://owner/model/framework/variation/version"
        )
    order.network.check_time()
    folder = order.staging / "kaggle"
    remove(folder)
    fetched = Fetched(whole=not source.files)
    if not source.files:
        _download(match[1], None, folder, order.show)
    for role, name in source.files.items():
        try:
            if order.wants(role):
                _download(match[1], name, folder, order.show)
        except Absent:
            if role != "config":
                raise
    for path in _files_below(folder):
        relative = path.relative_to(folder).as_posix()
        try:
            fetched.files[safe_name(relative)] = staged(path)
        except UnsafeName as error:
            raise FetchFailure(str(error)) from error
    if not fetched.files:
        raise FetchFailure("Kaggle gave no files")
    return fetched


def _download(handle: str, name: str | None, folder: Path, show: bool) -> None:
    try:
        import kagglehub
    except ImportError as error:
        raise FetchFailure(
            "it needs the package kagglehub: pip install 'keras-pretrained[kaggle]'"
        ) from error
    try:
        with _quiet(show):
            kagglehub.model_download(handle, name, output_dir=str(folder))
    except Exception as error:
        # The library raises exceptions of its own, of requests, and of Exception itself.
        if isinstance(error, OSError) and error.errno and _is_local(error):
            remove(folder)
            raise disk_failure(error, folder) from error
        response: Any = getattr(error, "response", None) or getattr(
            error.__cause__, "response", None
        )
        kind = Absent if getattr(response, "status_code", None) == 404 else FetchFailure
        text = " ".join(str(error).split())[:300]
        raise kind(f"kagglehub: {text.rstrip('.') or type(error).__name__}") from error


def _is_local(error: OSError) -> bool:
    """Whether a file could not be written, rather than a host not be reached."""
    return not type(error).__module__.startswith(("requests", "urllib3", "kagglehub"))


def _files_below(folder: Path) -> Iterator[Path]:
    """The files, without the marks that the library leaves for itself."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if path.is_symlink():
                raise FetchFailure(f"{name!r} is a link")
            if not name.startswith("."):
                yield path


@contextlib.contextmanager
def _quiet(show: bool) -> Iterator[None]:
    """Keeps the library's bars and notes off a stream that nobody watches."""
    if show and sys.stderr.isatty():
        yield
        return
    logger = logging.getLogger("kagglehub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            yield
    finally:
        logger.setLevel(level)
