"""The worker under soak: killed and started anew, its memory and files watched."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from libacli.local.guard import GuardedProcess
from tests.bench.local_stack import Stack

_SAMPLE_EVERY_S = 5.0
_LEAST_LIFE_S = 60.0


class Worker:
    """The worker under test: started anew when it was killed; its memory and files are watched."""

    def __init__(self, stack: Stack, env: dict[str, str]) -> None:
        self._stack = stack
        self._env = stack.env | env
        self._process: GuardedProcess
        self.lives: list[list[tuple[float, float, float]]] = []
        """Samples of each life: seconds, MB, file descriptors; of the worker itself, without its rooms."""

    def start(self) -> None:
        log = (self._stack.folder / "worker.log").open("ab")
        with log:
            self._process = GuardedProcess.start(
                [sys.executable, "-m", "libacli", "agent", "run", "--max-rooms", "20"],
                env=self._env | {"PYTHONPATH": str(Path.cwd())},
                cwd=self._stack.folder,
                stdout=log,
            )
        self.lives.append([])

    def stop(self) -> int:
        return self._process.terminate()

    def _main(self) -> psutil.Process:
        return psutil.Process(self._process.pid).children()[0]

    def rooms(self) -> list[psutil.Process]:
        """Its room processes, idle ones included."""
        below = self._main().children(recursive=True)
        return [one for one in below if "forkserver" in " ".join(one.cmdline()) or one.num_threads() > 5]

    def kill(self) -> None:
        for process in [self._main(), *self._main().children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(10)
        self.start()

    async def sample(self) -> None:
        started = time.monotonic()
        while True:
            with suppress(psutil.Error, IndexError):
                main = self._main()
                row = (time.monotonic() - started, main.memory_info().rss / 1e6, float(main.num_fds()))
                self.lives[-1].append(row)
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def slopes(self) -> tuple[float, float]:
        """MB and file descriptors a minute, in the longest life, but for its first third; 0 if short."""
        life = max(self.lives, key=len)
        life = life[len(life) // 3 :]
        if not life or life[-1][0] - life[0][0] < _LEAST_LIFE_S:
            return 0.0, 0.0
        return _slope([(t, mb) for t, mb, _ in life]) * 60, _slope([(t, fds) for t, _, fds in life]) * 60


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
