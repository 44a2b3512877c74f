"""The peak memory of another process, watched from outside."""

from __future__ import annotations

import re
import threading
from pathlib import Path

POLL_SECONDS = 0.001


def anonymous_bytes(process_id: int) -> int:
    """What a Linux process owns: `RssAnon`, which leaves out mapped files."""
    status = Path(f"/proc/{process_id}/status").read_text()
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Peak:
    """Polls in a thread of this process, which the work of the other one cannot hold up."""

    def __init__(self, process_id: int) -> None:
        self.process_id = process_id
        self._before = self._highest = anonymous_bytes(process_id)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The largest growth since the start, in bytes."""
        self._stopped.set()
        self._thread.join()
        return max(self._highest, anonymous_bytes(self.process_id)) - self._before

    def _poll(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._highest = max(self._highest, anonymous_bytes(self.process_id))
