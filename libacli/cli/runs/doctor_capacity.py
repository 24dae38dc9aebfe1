"""Measures in how many rooms at once this machine can speak without a break.

A LiveKit server and a worker of its own, with nothing of the user's: no avatar, no paid voice, no file that
others use. Rooms come one after the other, and every few of them all speak the same line at the same moment;
an agent counts how often its track ran dry in the middle of it. Ends by itself, with all that it began.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from platformdirs import user_cache_path
from pydantic import SecretStr

from libacli.cli.output import output
from libacli.cli.runs.child_process import running
from libacli.config import LiveKitCredentials, Settings
from libacli.core.messages import SayRequest
from libacli.edges.checks.finding import Finding, failure
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.voices.choose import provider_words
from libacli.errors import LibaError
from libacli.local.server_binary import find_server
from libacli.local.server_process import run_server

NAME = "capacity"
STEPS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
BOUND_S = 600.0
"""The most rooms, each of which takes some seconds to come, with all that is said in them."""

_LINE = (
    "This line takes about six seconds, and is spoken in all of these rooms at once: not one may break off."
)
_ROOM_TIMEOUT_S = 40.0
_SPOKEN_TIMEOUT_S = 60.0
_SHARE = 0.75
"""Of what was reached without a break that is proposed: machines have busier moments."""

_LEAST_MB = 400
"""Memory that has to be left for one more room, in a process of its own, and for everybody else."""

_MB = 1024 * 1024


@dataclass(frozen=True)
class Reached:
    """How far it went."""

    rooms: int
    """That spoke at once, all of them without a break; 0: not even one did."""

    ended_by: str
    """What was in the way of more; empty: nothing, more were not tried."""


async def capacity(settings: Settings, steps: Sequence[int] = STEPS) -> Finding:
    """Measures, and judges `agent.max_rooms` by it. Raises nothing but what is a defect."""
    if not importlib.util.find_spec("hibari"):
        return Finding(NAME, "skip", "it takes the embedded voice", "pip install 'libacli[local]'")
    server = await asyncio.to_thread(find_server, settings.server_binary, user_cache_path("liba"))
    if server is None:
        return Finding(NAME, "skip", "it takes a local LiveKit server", "liba server install")
    try:
        return judged(settings, await _measure(settings, server.path, steps))
    except LibaError as error:
        return failure(NAME, error)


def judged(settings: Settings, reached: Reached) -> Finding:
    """What it amounts to."""
    by = f"by {settings.agent_isolation}, on {os.cpu_count()} processors"
    if not reached.rooms:
        message = f"not even one room speaks without a break, {by}: {reached.ended_by}"
        return Finding(NAME, "warn", message, "look for what else keeps this machine busy")
    proposed = max(1, int(reached.rooms * _SHARE))
    rooms = f"{reached.rooms} room{'s speak' if reached.rooms > 1 else ' speaks'}"
    limit = f"; then: {reached.ended_by}" if reached.ended_by else ", and more were not tried"
    message = f"{rooms} at once without a break, {by}, a LiveKit server beside them{limit}"
    most = settings.agent_max_rooms
    if most > proposed:
        return Finding(NAME, "warn", f"{message}; agent.max_rooms is {most}", f"agent.max_rooms = {proposed}")
    return Finding(NAME, "ok", message, f"agent.max_rooms = {proposed} would do" if most < proposed else "")


async def _measure(settings: Settings, binary: Path, steps: Sequence[int]) -> Reached:
    name = f"liba-capacity-{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        own = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="liba-capacity-")
        stack.push_async_callback(asyncio.to_thread, own.cleanup)
        folder = Path(own.name)
        server = await asyncio.to_thread(stack.enter_context, run_server(binary, folder))
        credentials = LiveKitCredentials(server.url, server.api_key, SecretStr(server.api_secret))
        command = ["agent", "run", "--agent-name", name, "--max-rooms", str(steps[-1])]
        environment = _environment(settings, credentials, folder)
        worker = running("the worker", command, environment, log_name="capacity-agent")
        await asyncio.to_thread(stack.enter_context, worker)
        api = await stack.enter_async_context(LiveKitApi(credentials))
        return await _climb(api, name, steps, voice_is_own=provider_words(settings)[0] == "embedded")


def _environment(settings: Settings, credentials: LiveKitCredentials, folder: Path) -> Mapping[str, str]:
    """All that the worker knows: nothing that costs money, and no folder that another one counts in."""
    return {
        "XDG_CONFIG_HOME": str(folder),
        "XDG_STATE_HOME": str(folder),
        "LIVEKIT_URL": credentials.url,
        "LIVEKIT_API_KEY": credentials.api_key,
        "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
        "TAVUS_BASE_URL": "http://127.0.0.1:9",  # nobody is asked for an avatar, whatever else is set
        "LIBA_VOICE_PROVIDERS": "embedded",
        "LIBA_AGENT_ISOLATION": settings.agent_isolation,
        "LIBA_SAY_RATE_PER_MINUTE": "0",
        "LIBA_SAY_MAX_CHARS_PER_HOUR": "0",
        "LIBA_METRICS_STORE": "false",
    }


async def _climb(api: LiveKitApi, name: str, steps: Sequence[int], *, voice_is_own: bool) -> Reached:
    """Ever more rooms, until some break off twice.

    Where a service is the voice, what is said was said before and comes from memory: it costs as little.
    """
    clients, reached = list[AgentClient](), 0
    for count in steps:
        while len(clients) < count:
            if (left_mb := psutil.virtual_memory().available / _MB) < _LEAST_MB:
                return Reached(reached, f"memory, of which {left_mb:.0f} MB are left")
            clients.append(await _enter(api, name, f"{name}-{len(clients)}"))
        for take in (1, 2):
            ending = f" {count}, {take}." if voice_is_own else ""
            broken = await _broken(clients, _LINE + ending)
            if not broken:
                break
        output.status(f"{NAME}   {count} at once: {f'{broken} broke off' if broken else 'all of them whole'}")
        if broken:
            return Reached(reached, f"of {count} rooms {broken} broke off")
        reached = count
    return Reached(reached, "")


async def _enter(api: LiveKitApi, name: str, room: str) -> AgentClient:
    client = AgentClient(api, AgentLocator(api, room=room, agent_name=name))
    await client.reach(timeout_s=_ROOM_TIMEOUT_S)
    await _speaks_whole(client, _LINE)
    return client


async def _broken(clients: Sequence[AgentClient], text: str) -> int:
    """In how many rooms a line was not spoken in one go, when all of them began it together."""
    async with asyncio.TaskGroup() as tasks:
        speaking = [tasks.create_task(_speaks_whole(client, text)) for client in clients]
    return sum(not one.result() for one in speaking)


async def _speaks_whole(client: AgentClient, text: str) -> bool:
    try:
        said = await client.say(SayRequest(text, id=uuid.uuid4().hex[:12]))
        spoken = await client.wait(said, "done", timeout_s=_SPOKEN_TIMEOUT_S)
    except LibaError as error:
        output.trace(error)
        return False
    return not (spoken.report or {}).get("underruns", 0)
