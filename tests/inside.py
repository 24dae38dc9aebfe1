"""What tests put inside the Python processes of a worker, to count their tasks and cut their connections."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

COUNT = signal.SIGRTMIN + 1
RESUME = signal.SIGRTMIN + 2
RECONNECT = signal.SIGRTMIN + 3

_HOOKS = """
import asyncio, contextlib, gc, os, pathlib, signal

def count(*_):
    with contextlib.suppress(RuntimeError):  # no loop in this process, or none yet
        tasks = len(asyncio.all_tasks())
        pathlib.Path(os.environ["TEST_TASKS"], str(os.getpid())).write_text(f"{tasks}\\n")

def cut(number, _):
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()
        gc.unfreeze()  # agents freeze what they have loaded, and nobody finds it then
        rooms = [it for it in gc.get_objects() if type(it).__module__ == "livekit.rtc.room"]
        gc.freeze()
        for room in rooms:
            if type(room).__name__ == "Room" and room.isconnected():
                from livekit.rtc import SimulateScenarioKind as Kind
                resume, anew = Kind.SIMULATE_SIGNAL_RECONNECT, Kind.SIMULATE_FULL_RECONNECT
                cut = room.simulate_scenario(resume if number == signal.SIGRTMIN + 2 else anew)
                cutting.add(task := loop.create_task(cut))
                task.add_done_callback(forget)

def forget(task):
    cutting.discard(task)
    task.cancelled() or task.exception()

cutting = set()
signal.signal(signal.SIGRTMIN + 1, count)
signal.signal(signal.SIGRTMIN + 2, cut)
signal.signal(signal.SIGRTMIN + 3, cut)
"""
"""A `sitecustomize`: at COUNT a process writes down how many tasks it has; at RESUME the connection to
LiveKit of the rooms in it is lost and taken up again, at RECONNECT it is made anew."""


@dataclass(frozen=True)
class Inside:
    """The processes of workers that were started with `env`."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "counts").mkdir(parents=True)
        (self.folder / "sitecustomize.py").write_text(_HOOKS)

    @property
    def env(self) -> dict[str, str]:
        """What such a worker needs in its environment."""
        path = filter(None, [str(self.folder), os.environ.get("PYTHONPATH")])
        return {"PYTHONPATH": os.pathsep.join(path), "TEST_TASKS": str(self.folder / "counts")}

    def processes(self, pid: int) -> list[psutil.Process]:
        """Those below `pid` that can be asked: the worker, its room processes, what else it consists of."""
        below = psutil.Process(pid).children(recursive=True)
        return [process for process in below if _catches(process.pid, COUNT)]

    async def tasks(self, processes: Sequence[psutil.Process]) -> dict[int, int]:
        """How many asyncio tasks each has, by process id; one without a loop tells nothing."""
        counts = self.folder / "counts"
        for old in counts.iterdir():
            old.unlink()
        for process in processes:
            process.send_signal(COUNT)
        await asyncio.sleep(1)
        return {int(told.name): int(told.read_text() or 0) for told in counts.iterdir()}


def _catches(pid: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return False
    return bool(int(re.findall(r"SigCgt:\s*([0-9a-f]+)", status)[0], 16) >> (number - 1) & 1)
