"""`pkg://package/path`: files inside an installed Python package, which is never imported."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable
from pathlib import Path

from keras_pretrained.presets.located import SourceError, exists_as_checkpoint

_PACKAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def split_address(address: str) -> tuple[str, str]:
    """The package and the path inside it, both checked.

    Raises:
        SourceError: not of the form `pkg://package/path`, or a path that could leave the package.
    """
    package, _, path = address.removeprefix("pkg://").partition("/")
    steps = path.split("/") if path else []
    wrong = any(step in ("", ".", "..") or not step.isprintable() for step in steps)
    if not _PACKAGE.fullmatch(package) or wrong or "\\" in path or ":" in path:
        raise SourceError(
            f"Wrong address {address!r}. Expected pkg://package/path: the name of an installed "
            "top-level package, and a path inside its folder without '.', '..', backslashes or "
            "colons."
        )
    return package.replace("-", "_"), path


def find_in_package(address: str) -> Path | None:
    """The file or folder at a `pkg://` address, or None when the package is not installed.

    Links are followed only as far as they stay inside the package's own folder.

    Raises:
        SourceError: a wrong address, a package that is not a folder, a path that is not there or
            leads out of the package.
    """
    package, path = split_address(address)
    roots = _package_folders(package)
    if roots is None:
        return None
    for root in roots:
        found = root / path
        if exists_as_checkpoint(found):
            _refuse_escapes([found], root, address)
            # What lies beside a file belongs to it: its configuration, its vocabulary.
            _refuse_escapes(_links_below(found if found.is_dir() else found.parent), root, address)
            return found
    raise SourceError(
        f"{address}: the installed package {package!r} has no {path!r} in "
        f"{', '.join(map(str, roots)) or 'any folder'}. {installed_version(package)}"
    )


def _refuse_escapes(paths: Iterable[Path], root: Path, address: str) -> None:
    """Fails when a path, its links followed, lies outside the root."""
    real_root = root.resolve()
    for path in paths:
        real = path.resolve()
        if not real.is_relative_to(real_root):
            raise SourceError(
                f"{address}: {path} is a link to {real}, outside the package folder {real_root}. "
                "A package must hold its own files. If your installer links to its cache, let it "
                "copy (for uv: --link-mode=copy)."
            )


def installed_version(package: str) -> str:
    """A sentence that says which version is installed, where its metadata tells."""
    import importlib.metadata

    try:
        return f"Installed: {package} {importlib.metadata.version(package)}."
    except importlib.metadata.PackageNotFoundError:
        return ""


def _package_folders(package: str) -> list[Path] | None:
    # For a top-level name find_spec only looks for the files: it runs none of them.
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        raise SourceError(
            f"pkg://{package}: {package!r} is a single module ({spec.origin}), not a package "
            "folder with files in it."
        )
    return [Path(folder) for folder in spec.submodule_search_locations if Path(folder).is_dir()]


def _links_below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink():
                yield path
