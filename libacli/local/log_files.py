"""Log files of processes that we start: one for each run, this user's alone; the old ones are removed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from libacli.private_files import new_private_file, private_folder

LOGS_KEPT = 10


def new_log_file(directory: Path, name: str) -> Path:
    """An empty file of mode 0600 that no other run writes to: `name`, the time and our process id.

    Of this name's files the oldest beyond `LOGS_KEPT` are removed, but for those of others who still run.
    """
    private_folder(directory)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    path = directory / f"{name}-{stamp}-{os.getpid()}.log"
    path.unlink(missing_ok=True)
    os.close(new_private_file(path))
    for old in sorted(directory.glob(f"{name}-*.log"))[:-LOGS_KEPT]:
        pid = old.stem.rpartition("-")[2]
        if pid == str(os.getpid()) or not is_running(pid):
            old.unlink(missing_ok=True)
    return path


def is_running(pid: str) -> bool:
    """Whether there is a process of that id."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
