"""Programs that a test interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys


def interruptible(*arguments: str) -> subprocess.Popen[str]:
    """Starts Python with the arguments, so that Ctrl-C reaches it wherever the tests run.

    A shell starts what it puts in the background with interrupts ignored, and children inherit it.
    """
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
