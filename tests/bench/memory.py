"""What `liba agent run` needs in memory, idle and with rooms: `python -m tests.bench.memory`.

Measured is PSS, each process's own share of what it uses (`/proc/*/smaps_rollup`), over the worker and all
that it started, after each room has spoken once. The voice is a speech server beside it: models of an
embedded voice are not what is asked about.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.local.guard import GuardedProcess
from tests.bench.local_stack import Stack, deadline, local_server, speech_server, worker

_SETTLE_S = 4.0
_MB = 1024 * 1024


@dataclass(frozen=True)
class Goal:
    """Megabytes of PSS that are enough."""

    idle: float
    per_room: float


GOALS = {"process": Goal(idle=230, per_room=45), "thread": Goal(idle=130, per_room=6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=4, help="rooms at most")
    parser.add_argument("--isolation", choices=list(GOALS), nargs="*", default=list(GOALS))
    parser.add_argument("--env", nargs="*", default=[], help="NAME=VALUE for the worker, to see what it does")
    parser.add_argument("--processes", action="store_true", help="show each process of the last state")
    options = parser.parse_args()
    variables = dict(pair.split("=", 1) for pair in options.env)
    reached = True
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        for isolation in options.isolation:
            totals = _measure(stack, isolation, options.rooms, variables, show=options.processes)
            reached &= _report(isolation, totals)
    sys.exit(0 if reached else 1)


def _measure(
    stack: Stack, isolation: str, most_rooms: int, variables: Mapping[str, str], *, show: bool
) -> list[float]:
    """Megabytes with no room, with one, and so on."""
    with ExitStack() as cleanup:
        env = {**cleanup.enter_context(speech_server(stack)), **variables}
        running = cleanup.enter_context(worker(stack, "--isolation", isolation, env=env))
        _wait_until_ready(stack)
        time.sleep(_SETTLE_S)
        totals = [_pss_mb(running)]
        for number in range(most_rooms):
            asyncio.run(_speak_in(stack, f"{isolation}-{number}"))
            time.sleep(_SETTLE_S)
            totals.append(_pss_mb(running))
        if show:
            _show_processes(running)
    return totals


def _wait_until_ready(stack: Stack) -> None:
    end = deadline()
    while "worker is ready" not in (log := (stack.folder / "worker.log").read_text()):
        assert time.monotonic() < end, log
        time.sleep(0.1)


async def _speak_in(stack: Stack, room: str) -> None:
    """Brings the agent into `room` and has it speak one line to its end."""
    async with LiveKitApi(stack.credentials) as api:
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))
        await client.reach(timeout_s=30)
        said = await client.say(SayRequest("A line of some length, spoken once.", id=room))
        await client.wait(said, "done", timeout_s=30)


def _pss_mb(running: GuardedProcess) -> float:
    return sum(_pss_of(process) for process in _tree(running))


def _tree(running: GuardedProcess) -> list[psutil.Process]:
    """The worker and all that it started, without its guard."""
    return list(psutil.Process(running.pid).children(recursive=True))


def _pss_of(process: psutil.Process) -> float:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / _MB


def _show_processes(running: GuardedProcess) -> None:
    for process in _tree(running):
        command = " ".join(process.cmdline())[:90]
        print(f"  {_pss_of(process):>7.1f} MB  {process.num_threads():>3} threads  {command}")


def _report(isolation: str, totals: list[float]) -> bool:
    """Prints the figures; whether the goals are reached."""
    goal = GOALS[isolation]
    per_room = (totals[-1] - totals[0]) / (len(totals) - 1) if len(totals) > 1 else 0.0
    steps = "  ".join(f"{rooms} rooms {total:.0f}" for rooms, total in enumerate(totals))
    print(f"isolation={isolation}  MB of PSS, {os.cpu_count()} cores:  {steps}")
    for name, value, enough in (("idle", totals[0], goal.idle), ("per room", per_room, goal.per_room)):
        print(f"  {name:<9}{value:>7.1f} MB  goal {enough:g}  {'pass' if value <= enough else 'FAIL'}")
    return totals[0] <= goal.idle and per_room <= goal.per_room


if __name__ == "__main__":
    main()
