"""No memory of ours is left on a disk when a native part of it crashes: secrets and words are in there."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

_DUMPED = Path("/proc/self/coredump_filter")
"""Which mappings a core dump has, on Linux: https://man7.org/linux/man-pages/man5/core.5.html"""


def leave_no_core_files() -> None:
    """From now on, for this process and all that it starts.

    Where the system pipes dumps to a program it heeds no limit of size: there is nothing in them then. Other
    processes of this user, and `liba doctor`, can still look at this one, which PR_SET_DUMPABLE would stop.
    """
    with suppress(OSError, ValueError):  # a limit that is less already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        _DUMPED.write_text("0")
