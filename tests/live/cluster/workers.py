"""Workers of a cluster, each on a machine of its own, as a user starts them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libacli.local.guard import GuardedProcess
from tests.bench.local_stack import clean_env
from tests.live.cluster.nodes import ROOT, Cluster, kill
from tests.live.conftest import GRACE_S, wait_for_line
from tests.machines import Machine


@dataclass
class Worker:
    """`liba agent run`: `start`, `kill`, `start` again on the same machine, with what is on its disk."""

    cluster: Cluster
    machine: Machine
    max_rooms: int
    own: Mapping[str, str] = field(default_factory=dict)
    """Variables of this worker alone."""

    _process: GuardedProcess | None = None

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def folder(self) -> Path:
        return self.cluster.folder / self.machine.name

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        command = [*_LIBA, "agent", "run", "--max-rooms", str(self.max_rooms)]
        env = environment(self.cluster, self.folder) | dict(self.own)
        with self.log.open("wb") as out:
            self._process = self.machine.start(command, out, env=env, cwd=self.folder, grace_s=GRACE_S)

    def ready(self) -> None:
        """Waits until it is registered."""
        assert self._process
        wait_for_line(self.log, "worker is ready", self._process)

    def kill(self) -> None:
        assert self._process
        kill(self._process)

    def end(self) -> int | None:
        """As a service manager does: the first signal, and time to leave. Its exit code."""
        return self._process.terminate() if self._process else None

    def restart(self) -> None:
        self.end()
        self.start()
        self.ready()

    def rooms(self) -> set[str]:
        """Rooms that its agents have entered since it was started."""
        return set(re.findall(r"ready in room (\S+):", self._told()))

    def lines(self, text: str) -> list[str]:
        return [line for line in self._told().splitlines() if text in line]

    def _told(self) -> str:
        return self.log.read_text(errors="replace")


_LIBA = (sys.executable, "-m", "tests.live.cluster.hasty")


def liba(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, as somebody who has the cluster's address and keys."""
    folder = cluster.folder / "shell"
    folder.mkdir(exist_ok=True)
    env = environment(cluster, folder)
    return subprocess.run(
        [*_LIBA, *arguments], env=env, cwd=folder, capture_output=True, text=True, timeout=120
    )


def environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    """Of a user whose files are in `folder`."""
    return clean_env(folder) | cluster.environment | {"HOME": str(folder), "PYTHONPATH": str(ROOT)}
