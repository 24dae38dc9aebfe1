"""The worker under soak: killed and started anew; its memory, files and tasks watched."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mode

import psutil

from libacli.local.guard import GuardedProcess
from tests.bench.local_stack import Stack
from tests.inside import Inside

_SAMPLE_EVERY_S = 5.0
_LEAST_LIFE_S = 60.0
_HELD: Sequence[Callable[[Sample], float]] = (
    lambda sample: sample.mb,
    lambda sample: sample.files,
    lambda sample: sample.tasks,
)


@dataclass(frozen=True)
class Sample:
    """What one process held at a moment."""

    at: float
    processes: int
    """How many there were: the worker holds something for each."""

    mb: float
    files: float
    tasks: float


@dataclass(frozen=True)
class Slopes:
    """Growth a minute of what a process holds."""

    life_s: float
    mb: float
    files: float
    tasks: float


class Worker:
    """The worker under test: started anew when it was killed; what its processes hold is watched."""

    def __init__(self, stack: Stack, env: dict[str, str]) -> None:
        self._stack = stack
        self._inside = Inside(stack.folder / "inside")
        self._env = stack.env | env | self._inside.env
        self._process: GuardedProcess
        self._lives: dict[str, dict[int, list[Sample]]] = {"worker": {}, "room": {}}

    def start(self) -> None:
        log = (self._stack.folder / "worker.log").open("ab")
        path = os.pathsep.join([self._inside.env["PYTHONPATH"], str(Path.cwd())])
        with log:
            self._process = GuardedProcess.start(
                [sys.executable, "-m", "libacli", "agent", "run", "--max-rooms", "20"],
                env=self._env | {"PYTHONPATH": path},
                cwd=self._stack.folder,
                stdout=log,
            )

    def stop(self) -> int:
        return self._process.terminate()

    def _main(self) -> psutil.Process:
        return psutil.Process(self._process.pid).children()[0]

    def rooms(self) -> list[psutil.Process]:
        """Its room processes, idle ones included."""
        return [one for one in self._inside.processes(self._process.pid) if one.pid != self._main().pid]

    def kill(self) -> None:
        for process in [self._main(), *self._main().children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(10)
        self.start()

    async def sample(self) -> None:
        """Looks at all processes every 5 s, until cancelled."""
        started = time.monotonic()
        while True:
            with suppress(psutil.Error, IndexError):
                main = self._main().pid
                processes = self._inside.processes(self._process.pid)
                tasks = await self._inside.tasks(processes)
                for process in processes:
                    life = self._lives["worker" if process.pid == main else "room"]
                    held = (process.memory_info().rss / 1e6, process.num_fds(), tasks.get(process.pid, 0))
                    seen = Sample(time.monotonic() - started, len(processes), *held)
                    life.setdefault(process.pid, []).append(seen)
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def slopes(self) -> dict[str, Slopes]:
        """Of the `worker` and the `room` process that lived longest, but for the first third of that life."""
        return {kind: _slopes(max(lives.values(), key=len)) for kind, lives in self._lives.items() if lives}


def _slopes(life: Sequence[Sample]) -> Slopes:
    """All 0 when it was too short to tell. Counts only when there were as many processes as mostly."""
    length_s = life[-1].at - life[0].at
    usual = mode(sample.processes for sample in life)
    later = [sample for sample in life[len(life) // 3 :] if sample.processes == usual] or life[-1:]
    if later[-1].at - later[0].at < _LEAST_LIFE_S:
        return Slopes(length_s, 0.0, 0.0, 0.0)
    growth = [_slope([(s.at / 60, value(s)) for s in later]) for value in _HELD]
    return Slopes(length_s, *growth)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
