"""One source into its entry of the cache: locked, staged, checked, then moved and listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from keras_pretrained.presets.digests import is_published, md5_of
from keras_pretrained.presets.fetching.entries import (
    Entry,
    Kept,
    Manifest,
    entry_of,
    sync_folder,
)
from keras_pretrained.presets.fetching.failure import DiskFailure, FetchFailure, disk_failure
from keras_pretrained.presets.fetching.fetched import Fetched, Order
from keras_pretrained.presets.fetching.files import Staged, remove
from keras_pretrained.presets.fetching.hub import fetch_from_hub
from keras_pretrained.presets.fetching.kaggle import fetch_from_kaggle
from keras_pretrained.presets.fetching.network import Network
from keras_pretrained.presets.fetching.placement import cached_placement, files_below, root_of
from keras_pretrained.presets.fetching.progress import say
from keras_pretrained.presets.fetching.web import fetch_archive, fetch_web_files
from keras_pretrained.presets.member_names import is_pattern, matching, spelled_out
from keras_pretrained.presets.preset import Source

_FETCHERS: dict[str, Callable[[Order], Fetched]] = {
    "file": fetch_web_files,
    "archive": fetch_archive,
    "tf-hub": fetch_archive,
    "hf": fetch_from_hub,
    "kaggle": fetch_from_kaggle,
}


def can_fetch(source: Source) -> bool:
    """Whether the network has this source."""
    return source.kind in _FETCHERS


def fetch_source(
    network: Network,
    source: Source,
    roles: Collection[str] | None = None,
    *,
    show: bool = True,
    force: bool = False,
) -> Entry:
    """Brings the files of one source into the cache.

    Args:
        network: the connections.
        source: its `files` may be empty, for an address of the user's; then it is all files.
        roles: those that are wanted, or None for all. Where a source is an archive, it is all.
        show: whether to show progress on a terminal.
        force: fetch again what is there.

    Raises:
        FetchFailure: they cannot be had. The cache holds what it held.
    """
    entry = entry_of(source.address)
    try:
        with _locked(entry, show):
            if not force and is_here(source, roles, entry):
                return entry
            manifest, revision = entry.read(), None
            if not force:
                roles = _absent(source, roles, entry)
                # Files that join others must be of the same commit.
                revision = manifest.revision if manifest and manifest.files else None
            order = Order(network, source, roles, entry.staging, revision, show)
            fetched = _FETCHERS[source.kind](order)
            _check(order, fetched)
            _commit(entry, fetched)
            remove(entry.staging)
    except OSError as error:
        raise disk_failure(error, Path(error.filename or entry.folder)) from error
    return entry


def is_here(source: Source, roles: Collection[str] | None, entry: Entry) -> bool:
    """Whether the entry has the files that are wanted."""
    if not source.files:
        return entry.is_whole()
    wanted = source.required if roles is None else roles
    return set(wanted) <= set(cached_placement(source).files)


def _absent(source: Source, roles: Collection[str] | None, entry: Entry) -> Collection[str] | None:
    """The roles that are not here yet."""
    if not source.files:
        return None
    here = cached_placement(source).files
    return [role for role in (source.files if roles is None else roles) if role not in here]


@contextmanager
def _locked(entry: Entry, show: bool) -> Iterator[None]:
    """Keeps every other process away from an entry; the system ends the lock with the process."""
    import filelock

    entry.lock.parent.mkdir(parents=True, exist_ok=True)
    entry.folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(entry.lock)
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        say(f"Waiting for another process that fetches {entry.address}", show)
        lock.acquire()
    except NotImplementedError as error:
        raise DiskFailure(
            f"the file system of {entry.lock.parent} has no locks. Set KERAS_PRETRAINED_HOME to a "
            "folder on another one"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _check(order: Order, fetched: Fetched) -> None:
    """Compares what came with what was published, role by role.

    Raises:
        FetchFailure: a file is missing or another one.
    """
    source = order.source
    if not source.files:
        return
    root = root_of(source, fetched.files)
    there = files_below(root, source, fetched.files)
    for role, name in source.files.items():
        if role in there:
            difference = _difference(source, role, fetched.files[there[role]])
            if difference:
                _discard(fetched)
                raise FetchFailure(f"{there[role]} is not the published file: {difference}")
            continue
        # An archive is all there is; of single files some were asked for.
        asked = fetched.folder is not None or order.wants(role)
        if asked and role in source.required:
            _discard(fetched)
            raise FetchFailure(_absence(root, name, fetched))


def _difference(source: Source, role: str, file: Staged) -> str | None:
    """In what a file differs from the published one."""
    size, sha256 = source.sizes.get(role), source.sha256.get(role)
    if size not in (None, file.size):
        return f"bytes {file.size} in place of {size}"
    if not is_published(sha256, file.sha256):
        return f"SHA-256 {file.sha256} in place of {sha256}"
    if role in source.md5 and source.md5[role] != (found := md5_of(file.path)):
        return f"MD5 {found} in place of {source.md5[role]}"
    return None


def _absence(root: str, name: str, fetched: Fetched) -> str:
    several = matching(name, (each.removeprefix(root) for each in fetched.files))
    if several:
        return f"it has several files {spelled_out(name)}: {', '.join(several[:5])}"
    there = f"; it holds {', '.join(sorted(fetched.files)[:5])}" if is_pattern(name) else ""
    return f"it has no file {spelled_out(name)!r}{there}"


def _discard(fetched: Fetched) -> None:
    """Removes staged files that turned out wrong, so that nothing goes on with them."""
    for file in fetched.files.values():
        remove(file.path)


def _commit(entry: Entry, fetched: Fetched) -> None:
    """Moves staged files to their place. The manifest comes last: until then they do not exist."""
    before = entry.read()
    kept = {}
    # What came in whole replaces all; single files join those that are here.
    if before is not None and fetched.folder is None and before.revision == fetched.revision:
        intact = entry.intact()
        kept = {
            name: each
            for name, each in before.files.items()
            if name in intact and name not in fetched.files
        }
    entry.forget()
    if fetched.folder is not None:
        remove(entry.content)
        os.rename(fetched.folder, entry.content)
    else:
        for name, file in fetched.files.items():
            target = entry.content / name
            _make_way(entry.content, name)
            os.replace(file.path, target)
            sync_folder(target.parent)
    kept.update({name: _kept(file) for name, file in fetched.files.items()})
    entry.write(
        Manifest(
            address=entry.address,
            files=kept,
            whole=fetched.whole
            or (before is not None and before.whole and set(before.files) <= set(kept)),
            revision=fetched.revision,
            etag=fetched.etag if len(kept) == 1 or fetched.folder is not None else None,
            fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    )
    for parent, _, names in os.walk(entry.content):
        for path in (Path(parent, name) for name in names):
            if path.relative_to(entry.content).as_posix() not in kept:
                path.unlink()


def _make_way(content: Path, name: str) -> None:
    """Makes the folders of a file; what a spoiled cache has in their place is removed."""
    steps = name.split("/")
    for end in range(1, len(steps)):
        folder = content.joinpath(*steps[:end])
        if not folder.is_dir():
            remove(folder)
    if (content / name).is_dir():
        remove(content / name)
    (content / name).parent.mkdir(parents=True, exist_ok=True)


def _kept(file: Staged) -> Kept:
    return Kept(file.size, file.sha256)
