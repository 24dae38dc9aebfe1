"""Commands of liba as processes of another one of its commands: they end with it, and keep a log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from libacli.child_environment import environment_of
from libacli.errors import InstallError, LibaError
from libacli.local.guard import GuardedProcess
from libacli.local.log_files import new_log_file


@dataclass(frozen=True)
class Child:
    """A process that ends with us, and its log."""

    name: str
    process: GuardedProcess
    log_path: Path

    def announced(self, *, timeout_s: float) -> dict[str, Any]:
        """The JSON object that it prints once it is ready. Raises LibaError when it ends, or takes longer."""
        deadline = time.monotonic() + timeout_s
        while not (line := next(filter(_is_object, self._lines()), "")):
            if self.process.poll() is not None:
                raise self.ended()
            if time.monotonic() > deadline:
                late = f"{self.name} was not ready within {timeout_s:g} s"
                raise InstallError(late, hint=f"try again; its log: {self.log_path}")
            time.sleep(0.05)
        return dict(json.loads(line))

    def ended(self) -> LibaError:
        """The error that it is not there any more."""
        last = next(filter(str.strip, reversed(self._lines())), "it said nothing")
        return InstallError(f"{self.name} ended: {last.strip()}", hint=f"its log: {self.log_path}")

    def _lines(self) -> list[str]:
        return self.log_path.read_text(errors="replace").splitlines(keepends=True)


def _is_object(line: str) -> bool:
    """Whether it is one that has been written to its end."""
    return line.startswith("{") and line.endswith("\n")


@contextmanager
def running(
    name: str,
    arguments: list[str],
    environment: Mapping[str, str],
    *,
    inherits_settings: bool = False,
    grace_s: float = 5.0,
    log_name: str = "",
) -> Iterator[Child]:
    """`liba` with `arguments`; its log is this run's own, and nobody else's to read.

    `log_name` is what the log's name begins with; empty: as the command.

    It runs where its log is: what this folder sets is settled, and comes to it in `environment`. Of the
    settings in ours it has none but with `inherits_settings`.
    """
    path = new_log_file(user_state_path("liba") / "logs", log_name or arguments[0])
    # -P: modules of the folder that it runs in are not ours.
    command = [sys.executable, "-P", "-m", "libacli", *arguments]
    env = environment_of("liba" if inherits_settings else "python", environment)
    with (
        path.open("wb") as log,
        GuardedProcess.start(command, env=env, cwd=path.parent, stdout=log, grace_s=grace_s) as process,
    ):
        yield Child(name, process, path)
