"""All rooms of a real server, watched from outside: who speaks there, on which machine, and who is dead."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from libacli.config import LiveKitCredentials
from libacli.core.fleet import Fleet, FleetLine, FleetUpdate
from libacli.core.latency import AT_ONCE_MS
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.fleet_follower import FleetFollower
from tests.live.conftest import Shell, wait_for_line

pytestmark = pytest.mark.live

TIMEOUT_S = 60.0
KNOWN_DEAD_S = 10.0


async def until(condition: Callable[[], bool], *, timeout_s: float = TIMEOUT_S) -> float:
    """Seconds until that was so."""
    began_at = time.monotonic()
    while not condition():
        assert time.monotonic() < began_at + timeout_s
        await asyncio.sleep(0.1)
    return time.monotonic() - began_at


async def test_two_rooms_are_seen_and_the_one_whose_agent_is_killed_is_gone_within_ten_seconds(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    rooms, name, log = (f"{room}-a", f"{room}-b"), f"fleet-{room}", tmp_path / "worker.log"
    fleet = Fleet()

    def tell(update: FleetUpdate) -> None:
        fleet.take(update, time.monotonic())

    def line(wanted: str) -> FleetLine | None:
        return next((one for one in fleet.lines if one.room == wanted), None)

    with shell.running("agent", "run", "--agent-name", name, log=log) as worker:
        await asyncio.to_thread(wait_for_line, log, "worker is ready", worker)
        async with LiveKitApi(credentials) as api, asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(FleetFollower(api, tell, calls_per_minute=900).run())
            clients = [AgentClient(api, AgentLocator(api, room=one, agent_name=name)) for one in rooms]
            await clients[0].reach(timeout_s=TIMEOUT_S)
            first = job_of(worker.pid)
            await clients[1].reach(timeout_s=TIMEOUT_S)
            await clients[0].say(SayRequest("The fleet hears this.", id="heard"))
            await until(lambda: bool((seen := line(rooms[0])) and seen.last))
            await until(lambda: line(rooms[1]) is not None)
            seen = line(rooms[0])
            assert seen and seen.last
            assert seen.latency or (seen.last.waited or 0.0) > AT_ONCE_MS  # on a machine that was busy
            assert (seen.agent, seen.worker, seen.last.id) == (name, platform.node(), "heard")
            os.kill(first, signal.SIGKILL)
            took_s = await until(lambda: bool((dead := line(rooms[0])) and dead.state == "gone"))
            assert took_s <= KNOWN_DEAD_S
            other = line(rooms[1])
            assert other and other.state == "idle"
            follower.cancel()
        worker.terminate()
        await asyncio.to_thread(worker.wait, TIMEOUT_S)


def job_of(worker: int) -> int:
    """The process of the worker's only room: it has sockets for sound."""
    children = psutil.Process(worker).children(recursive=True)
    (job,) = [child.pid for child in children if child.net_connections("udp4")]
    return int(job)
