"""Where features are kept: rows of equal shape side by side, in memory or in files."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import ml_dtypes
import numpy as np

Signature = tuple[tuple[str, tuple[int, ...], str], ...]
"""Name, shape of a row and type of every array of a batch."""

INDEX, HASHES, LOG = "index.json", "hashes.npy", "log.jsonl"
COMMIT_SECONDS = 2.0
"""What was computed since the last commit is computed again after a break."""


@dataclass(frozen=True)
class BatchRows:
    """Where the rows of a batch are: `count` rows of a group from `start` on."""

    group: int
    start: int
    count: int

    @property
    def rows(self) -> np.ndarray:
        return np.arange(self.start, self.start + self.count)


@dataclass
class Group:
    """Rows of one signature: name -> array (rows, ...)."""

    signature: Signature
    arrays: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """All features of a data set.

    Attributes:
        groups: one for each signature; texts of several lengths make several.
        batches: the data set's batches in order: the group of each, and which rows of it.
    """

    groups: Sequence[Group]
    batches: Sequence[tuple[int, np.ndarray]]

    @property
    def count(self) -> int:
        return sum(len(rows) for _, rows in self.batches)

    @property
    def nbytes(self) -> int:
        return sum(int(array.nbytes) for group in self.groups for array in group.arrays.values())


class Store(Protocol):
    """What features are written to, batch by batch."""

    def kept(self, index: int, digest: str) -> bool:
        """Whether a batch is there already; if not, what is there from it on is dropped."""

    def add(self, arrays: Mapping[str, np.ndarray], digest: str) -> None:
        """Appends a batch."""

    def close(self) -> None:
        """Keeps what was added so far, where it can."""

    def finish(self, name: str, hashes: Sequence[np.ndarray]) -> Rows:
        """Closes the store.

        Args:
            name: tells its content from that of all others.
            hashes: of each batch, two numbers a row that tell it from all others.
        """


class MemoryStore:
    """Keeps features in arrays."""

    def __init__(self) -> None:
        self._parts: dict[Signature, dict[str, list[np.ndarray]]] = {}
        self._counts: dict[Signature, int] = {}
        self._batches: list[BatchRows] = []

    def kept(self, index: int, digest: str) -> bool:
        return False

    def add(self, arrays: Mapping[str, np.ndarray], digest: str) -> None:
        signature = signature_of(arrays)
        parts = self._parts.setdefault(signature, {name: [] for name in arrays})
        start, count = self._counts.get(signature, 0), rows_of(arrays)
        self._batches.append(BatchRows(list(self._parts).index(signature), start, count))
        self._counts[signature] = start + count
        for name, array in arrays.items():
            # A view would keep alive what it is a view of.
            parts[name].append(np.array(array))

    def close(self) -> None:
        """Memory does not last."""

    def finish(self, name: str, hashes: Sequence[np.ndarray]) -> Rows:
        groups = []
        for signature, parts in self._parts.items():
            # One tensor after the other: only one is there twice at a time.
            arrays = {key: np.concatenate(parts.pop(key)) for key in list(parts)}
            groups.append(Group(signature, arrays))
        return Rows(groups, [(batch.group, batch.rows) for batch in self._batches])


class DiskStore:
    """Writes features into a folder beside its final place, and goes on where it was broken off.

    A file for each array of each group, raw and in row order, and a log with a line for each
    batch, written after the batch itself has reached the disk.

    Args:
        folder: of the unfinished files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._signatures: list[Signature] = []
        self._counts: list[int] = []
        self._batches: list[BatchRows] = []
        self._digests: list[str] = []
        self._files: dict[Path, Any] = {}
        self._pending: list[str] = []
        self._committed = time.monotonic()
        self._read_log()

    def kept(self, index: int, digest: str) -> bool:
        if index < len(self._digests) and self._digests[index] == digest:
            return True
        if index < len(self._digests):
            self._truncate(index)
        return False

    def add(self, arrays: Mapping[str, np.ndarray], digest: str) -> None:
        signature = signature_of(arrays)
        if signature not in self._signatures:
            self._signatures.append(signature)
            self._counts.append(0)
        group = self._signatures.index(signature)
        for number, (name, _, _) in enumerate(signature):
            self._file(group, number).write(np.ascontiguousarray(arrays[name]).tobytes())
        line = {"signature": signature, "count": rows_of(arrays), "digest": digest}
        self._note(line)
        self._pending.append(json.dumps(line))
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def close(self) -> None:
        self._commit()
        for handle in self._files.values():
            handle.close()
        self._files = {}

    def _commit(self) -> None:
        # Rows first, then the line that says that they are there.
        for handle in self._files.values():
            handle.flush()
            os.fsync(handle.fileno())
        if self._pending:
            with (self.folder / LOG).open("a") as log:
                log.write("".join(f"{line}\n" for line in self._pending))
                log.flush()
                os.fsync(log.fileno())
        self._pending = []
        self._committed = time.monotonic()

    def finish(self, name: str, hashes: Sequence[np.ndarray]) -> Rows:
        self.close()
        index = {
            "signatures": self._signatures,
            "counts": self._counts,
            "batches": [[each.group, each.start, each.count] for each in self._batches],
        }
        np.save(self.folder / HASHES, np.concatenate(hashes), allow_pickle=False)
        (self.folder / INDEX).write_text(json.dumps(index))
        target = self.folder.with_name(name)
        shutil.rmtree(target, ignore_errors=True)
        self.folder.rename(target)
        (target / LOG).unlink(missing_ok=True)
        rows = opened(target, hashes)
        if rows is None:
            raise OSError(f"The features in {target} could not be read back. Is the disk full?")
        return rows

    # --- the log ----------------------------------------------------------------------------

    def _read_log(self) -> None:
        path = self.folder / LOG
        lines = path.read_text().splitlines() if path.is_file() else []
        for text in lines:
            try:
                line = json.loads(text)
                line["signature"] = _as_signature(line["signature"])
            except (ValueError, KeyError, TypeError):
                break  # A line that was cut off by the break.
            self._note(line)
        # Files that are shorter than the log says are as good as far as they go.
        while self._batches and not self._holds(self._batches[-1]):
            self._forget()
        self._truncate(len(self._batches))

    def _note(self, line: Mapping[str, Any]) -> None:
        signature: Signature = line["signature"]
        if signature not in self._signatures:
            self._signatures.append(signature)
            self._counts.append(0)
        group = self._signatures.index(signature)
        self._batches.append(BatchRows(group, self._counts[group], int(line["count"])))
        self._counts[group] += int(line["count"])
        self._digests.append(str(line["digest"]))

    def _forget(self) -> None:
        last = self._batches.pop()
        self._counts[last.group] -= last.count
        self._digests.pop()

    def _holds(self, batch: BatchRows) -> bool:
        return all(
            path.is_file() and path.stat().st_size >= (batch.start + batch.count) * size
            for path, size in self._paths(batch.group)
        )

    def _truncate(self, count: int) -> None:
        """Drops all batches from one on."""
        # What is pending is in the batches, and so in the log that is written anew.
        for handle in self._files.values():
            handle.close()
        self._files = {}
        while len(self._batches) > count:
            self._forget()
        kept = {
            path: rows * size
            for group, rows in enumerate(self._counts)
            for path, size in self._paths(group)
        }
        for path in self.folder.glob("*.bin"):
            # Of a file that no line of the log speaks of, nothing is known.
            os.truncate(path, kept.get(path, 0))
        lines = [
            json.dumps(
                {
                    "signature": self._signatures[batch.group],
                    "count": batch.count,
                    "digest": digest,
                }
            )
            for batch, digest in zip(self._batches, self._digests, strict=True)
        ]
        self._pending = []
        (self.folder / LOG).write_text("".join(f"{line}\n" for line in lines))

    # --- files ------------------------------------------------------------------------------

    def _paths(self, group: int) -> list[tuple[Path, int]]:
        """The file of each array of a group, and the bytes of a row."""
        return [
            (_path(self.folder, group, number), _row_bytes(shape, dtype))
            for number, (_, shape, dtype) in enumerate(self._signatures[group])
        ]

    def _file(self, group: int, number: int) -> Any:
        path = _path(self.folder, group, number)
        if path not in self._files:
            self._files[path] = path.open("ab")
        return self._files[path]


def opened(folder: Path, hashes: Sequence[np.ndarray]) -> Rows | None:
    """The features in a finished folder, mapped into memory; None where files do not fit.

    Args:
        hashes: of each batch of the data as they are now. The folder may hold their rows in
            another order, and in other batches.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        signatures = [_as_signature(each) for each in index["signatures"]]
        stored = [BatchRows(*map(int, each)) for each in index["batches"]]
        counts = [int(count) for count in index["counts"]]
        groups = [
            Group(signature, dict(_mapped(folder, group, signature, counts[group])))
            for group, signature in enumerate(signatures)
        ]
        if not all(0 <= x.start <= x.start + x.count <= counts[x.group] for x in stored):
            return None
        known = np.load(folder / HASHES, allow_pickle=False)
        return Rows(groups, _arranged(stored, known, hashes))
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError):
        return None


def _arranged(
    stored: Sequence[BatchRows], known: np.ndarray, hashes: Sequence[np.ndarray]
) -> list[tuple[int, np.ndarray]]:
    """For each batch of hashes the group that holds its rows, and which rows they are there.

    Args:
        known: the hashes of the rows that are stored, in their order.

    Raises:
        KeyError: they are not those of these batches.
    """
    group = np.concatenate([np.full(each.count, each.group) for each in stored])
    row = np.concatenate([each.rows for each in stored])
    if len(known) != len(row):
        raise KeyError("The folder does not say which rows it holds.")
    keys = _keys(known)
    order = np.argsort(keys)
    found = []
    for batch in hashes:
        # Of rows that are equal any will do: they have equal features.
        places = order[np.searchsorted(keys, _keys(batch), sorter=order)]
        if not np.array_equal(known[places], batch):
            raise KeyError("The folder does not hold these rows.")
        (own,) = set(group[places].tolist())
        found.append((own, row[places]))
    return found


def _mapped(folder: Path, group: int, signature: Signature, count: int) -> Any:
    for number, (name, shape, dtype) in enumerate(signature):
        path = _path(folder, group, number)
        size = count * _row_bytes(shape, dtype)
        if path.stat().st_size != size:
            raise ValueError(f"{path} has {path.stat().st_size} bytes. Expected {size}")
        if size:
            yield name, np.memmap(path, dtype_of(dtype), "r", shape=(count, *shape))
        else:
            yield name, np.empty((count, *shape), dtype_of(dtype))


def _path(folder: Path, group: int, number: int) -> Path:
    return folder / f"group_{group}_{number}.bin"


def signature_of(arrays: Mapping[str, np.ndarray]) -> Signature:
    return tuple((name, tuple(x.shape[1:]), x.dtype.name) for name, x in sorted(arrays.items()))


def rows_of(arrays: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(arrays.values())))


def dtype_of(name: str) -> np.dtype:
    """The type of numbers of a name; `bfloat16` is none of NumPy's own."""
    found = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    if found.hasobject:
        raise ValueError(f"Expected a type of numbers. Received: {name!r}")
    return found


def _row_bytes(shape: Sequence[int], dtype: str) -> int:
    size = dtype_of(dtype).itemsize
    for length in shape:
        size *= length
    return size


def _as_signature(stored: Any) -> Signature:
    return tuple((str(name), tuple(map(int, shape)), str(dtype)) for name, shape, dtype in stored)


def _keys(hashes: np.ndarray) -> np.ndarray:
    """Two numbers a row as one that can be sorted."""
    pair = np.dtype([("first", hashes.dtype), ("second", hashes.dtype)])
    return np.ascontiguousarray(hashes).view(pair).reshape(-1)
