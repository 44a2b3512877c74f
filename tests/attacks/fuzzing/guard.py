"""What is watched while a hostile file is read: actions, time, memory."""

from __future__ import annotations

import codecs
import faulthandler
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Everything that a reader does and that Python reports. Whatever is not here is a violation:
# `exec`, `compile`, `import`, `os.system`, `subprocess.Popen`, `socket.connect`, `os.rename`, ...
_HARMLESS = {
    *("mmap.__new__", "os.listdir", "os.scandir", "glob.glob", "builtins.id"),
    *("pathlib.Path.glob", "pathlib.Path.rglob"),
}
# Python imports a codec when it first decodes with it.
_ENCODINGS = ("ascii", "latin-1", "utf-8", "utf-8-sig", "cp437", "raw_unicode_escape")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Processor seconds; and seconds after which the process is killed with a trace of where it was.
CASE_SECONDS = 3.0
HANG_SECONDS = 60.0
# Address space beyond what the process had; a lie about a length asks for more at once.
_ADDRESS_SPACE = 1 << 30


class Violation(BaseException):
    """A reader did what no file may make it do. Not an `Exception`: nobody catches it."""


class Guard:
    """Watches one process; `watching` is used for one case after the other."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._seen: list[str] = []
        faulthandler.enable()
        for encoding in _ENCODINGS:
            codecs.lookup(encoding)
        sys.addaudithook(self._audit)
        # With one frame a trace, the cheapest way to learn the peak.
        tracemalloc.start(1)

    def limit_address_space(self) -> None:
        """Makes the system refuse what is far out of proportion; call when warmed up."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    @contextmanager
    def watching(self, folder: Path, memory: int) -> Iterator[None]:
        """Raises `Violation` after or during the block if it does anything but read in `folder`.

        Args:
            folder: the only place where files may be opened, and only for reading.
            memory: bytes that may be allocated at the peak.
        """
        self._seen.clear()
        tracemalloc.clear_traces()
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        start = time.process_time()
        self._folder = str(folder)
        try:
            yield
        finally:
            self._folder = None
            seconds = time.process_time() - start
            _, peak = tracemalloc.get_traced_memory()
            faulthandler.cancel_dump_traceback_later()
        if self._seen:
            raise Violation(f"it did what reading does not: {', '.join(self._seen[:5])}")
        if seconds > CASE_SECONDS:
            raise Violation(f"it took {seconds:.1f} seconds of the processor")
        if peak > memory:
            raise Violation(f"it allocated {peak} bytes, {memory} would be justified")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        folder = self._folder
        if folder is None or event in _HARMLESS:
            return
        if event == "open":
            path, _, flags = arguments
            inside = isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(
                folder
            )
            if inside and not (flags or 0) & _WRITING:
                return
        self._seen.append(f"{event}{arguments!r:.200}")
        raise Violation(self._seen[-1])
