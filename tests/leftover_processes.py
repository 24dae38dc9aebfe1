"""Processes that tests started and nobody ended: known by descent and by a mark in their environment."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress

import psutil

MARK = "LEFTOVERS_OF_TEST_RUN"
"""Not LIBA_…: shells of the tests take those out of the environment."""

_GRACE_S = 3.0
"""What was told to end while its test ended: guards kill what they guard this long after they were told."""

_POLL_S = 0.05


def mark_this_run() -> None:
    """What is started from now on is known as this run's, also when its parent is gone.

    Of the processes that share a run (pytest-xdist), each has a mark of its own below that of the run.
    """
    run, worker = os.environ.get(MARK), os.environ.get("PYTEST_XDIST_WORKER")
    os.environ[MARK] = f"{run}/{worker}" if run and worker else f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


def end_those_of(worker: str) -> None:
    """Of one of the processes that share our run: it has crashed, and can end nothing any more."""
    mark = f"{os.environ[MARK]}/{worker}"
    for process in psutil.process_iter():
        if _has(process, mark):
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Leftovers:
    """Knows which processes may live on for now, and ends the others."""

    def __init__(self) -> None:
        self._mark = os.environ[MARK]
        self._kept: set[psutil.Process] = set()

    def keep(self, pid: int) -> None:
        """A process that outlives its module, with all that it starts: one of a session's fixture."""
        self._kept.add(psutil.Process(pid))

    def end_and_complain(self, *, but_kept: bool) -> None:
        """Kills what is there and should not be, and fails the run for it, naming it."""
        deadline = time.monotonic() + _GRACE_S
        while (left := self._left(but_kept=but_kept)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        told = [_describe(process) for process in left]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_GRACE_S)
        assert not told, "processes were left behind, and are ended now:\n" + "\n".join(told)

    def _left(self, *, but_kept: bool) -> list[psutil.Process]:
        mine = set(psutil.Process().children(recursive=True))
        mine |= {process for process in psutil.process_iter() if _has(process, self._mark)}
        mine -= {psutil.Process()}
        if but_kept:
            for process in self._kept:
                with suppress(psutil.NoSuchProcess):
                    mine -= {process, *process.children(recursive=True)}
        return [process for process in mine if _runs(process)]


def _has(process: psutil.Process, mark: str) -> bool:
    """Whether it has this mark, or one below it."""
    try:
        return f"{process.environ().get(MARK)}/".startswith(f"{mark}/")
    except psutil.Error:
        return False


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}, child of {process.ppid()}: {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"{process.pid}"
