"""Sound sources of LiveKit's SDK that a test has not closed.

Each has a thread that wakes every 10 ms for as long as the process lives, collected or not: a hundred of
them take a fifth of a core from the tests that come after.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

_THREAD = "AudioSourceCapt"
_THREADS = Path("/proc/self/task")
"""On Linux; elsewhere none is found."""

_LEAST_S = 5.0
"""A source that was closed takes a moment to end."""


def sources_left_open() -> int:
    """How many there are, when those that are just ending have ended."""
    deadline = time.monotonic() + _LEAST_S
    while (left := _open()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _open() -> int:
    names = []
    for thread in _THREADS.glob("*/comm"):
        with suppress(OSError):  # it has ended meanwhile
            names.append(thread.read_text().strip())
    return names.count(_THREAD)
