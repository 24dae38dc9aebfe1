from __future__ import annotations

import os
import stat
from pathlib import Path

from libacli.local.log_files import LOGS_KEPT, new_log_file

NOBODY = 2**31 - 1
"""No process has this id: it is above the kernel's limit."""


def old_log(folder: Path, number: int, pid: int) -> Path:
    path = folder / f"demo-agent-20260101-00000{number}-000000-{pid}.log"
    path.touch()
    return path


def test_a_log_is_empty_private_and_nobody_elses(tmp_path: Path) -> None:
    one, other = (new_log_file(tmp_path / "logs", "demo-agent") for _ in range(2))
    assert one != other
    assert one.read_bytes() == b""
    assert stat.S_IMODE(one.stat().st_mode) == 0o600


def test_the_oldest_of_the_same_name_are_removed(tmp_path: Path) -> None:
    (tmp_path / "demo-serve-20250101-000000-000000-1.log").touch()
    paths = [new_log_file(tmp_path, "demo-agent") for _ in range(LOGS_KEPT + 3)]
    assert sorted(tmp_path.glob("demo-agent-*")) == paths[-LOGS_KEPT:]
    assert len(list(tmp_path.glob("demo-serve-*"))) == 1


def test_the_log_of_a_process_that_still_runs_is_kept_however_old_it_is(tmp_path: Path) -> None:
    running, ended = old_log(tmp_path, 1, os.getppid()), old_log(tmp_path, 2, NOBODY)
    for _ in range(LOGS_KEPT):
        new_log_file(tmp_path, "demo-agent")
    assert running.exists()
    assert not ended.exists()
