"""How long a command takes, from its start to its end: `python -m tests.bench.startup`.

Commands take turns in one run, so that a busy moment of the machine meets all of them. The measure is
`python -c "import livekit.api"`: what a script that does the same with LiveKit's SDK pays before it begins.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from libacli.core.timeline import percentile
from tests.bench.local_stack import Stack, ask, deadline, is_there, local_server, speech_server, worker

_ROOM = "bench"
_LIBA = str(Path(sys.executable).parent / "liba")


@dataclass(frozen=True)
class Subject:
    """A command, and the goal for its median, in times of the first subject's."""

    name: str
    command: Sequence[str]
    goal: float | None = None


SUBJECTS = (
    Subject("import livekit.api", (sys.executable, "-c", "import livekit.api")),
    Subject("liba --help", (_LIBA, "--help"), 0.7),
    Subject("liba token", (_LIBA, "token", "--room", _ROOM, "--token-only"), 0.9),
    Subject("liba say", (_LIBA, "say", "Hello.", "--room", _ROOM), 1.6),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=21, help="runs of each command")
    runs = parser.parse_args().n
    with (
        tempfile.TemporaryDirectory() as folder,
        local_server(Path(folder)) as stack,
        speech_server(stack) as voice,
        worker(stack, "--room", _ROOM, env=voice),
    ):
        asyncio.run(_wait_for_agent(stack))
        times = _measure(stack, runs)
    sys.exit(0 if _report(times) else 1)


async def _wait_for_agent(stack: Stack) -> None:
    end = deadline()
    while not await is_there(stack, _ROOM):
        assert time.monotonic() < end, (stack.folder / "worker.log").read_text()
        await asyncio.sleep(0.2)


def _measure(stack: Stack, runs: int) -> dict[Subject, list[float]]:
    """Milliseconds of each run, without the first, which finds cold caches."""
    times: dict[Subject, list[float]] = {subject: [] for subject in SUBJECTS}
    for run in range(runs + 1):
        for subject in SUBJECTS:
            took = _time(subject.command, stack)
            if run:
                times[subject].append(took)
        asyncio.run(ask(stack, _ROOM, "stop"))
    return times


def _time(command: Sequence[str], stack: Stack) -> float:
    environment = stack.env | {"PYTHONPYCACHEPREFIX": str(stack.folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=stack.folder, capture_output=True, check=False)
    took = (time.perf_counter() - started) * 1000
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()}")
    return took


def _report(times: dict[Subject, list[float]]) -> bool:
    """Prints the table; whether every goal is reached."""
    medians = {subject: percentile(taken, 50) for subject, taken in times.items()}
    measure = medians[SUBJECTS[0]]
    print(f"{len(times[SUBJECTS[0]])} runs each, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    print(f"{'':<20}{'median':>10}{'p95':>10}{'ratio':>8}{'goal':>8}")
    reached = True
    for subject, taken in times.items():
        ratio = medians[subject] / measure
        line = f"{subject.name:<20}{medians[subject]:>7.0f} ms{percentile(taken, 95):>7.0f} ms{ratio:>8.2f}"
        if subject.goal is not None:
            reached &= ratio <= subject.goal
            line += f"{subject.goal:>8.2f}  {'pass' if ratio <= subject.goal else 'FAIL'}"
        print(line)
    return reached


if __name__ == "__main__":
    main()
