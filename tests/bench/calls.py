"""How often LiveKit's API is called: `python -m tests.bench.calls`.

A real livekit-server, a real worker and waiting clients, each behind a wire of its own on which calls are
counted. LiveKit Cloud gives a project 1000 calls a minute, for all its programs. In one run: a client
that waits for a line of a minute; 1, 10 and 100 rooms at rest; 10 that speak, each with one that waits.
The voice is a tone that comes at once. A hundred rooms are threads; the others are processes.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from livekit.api import DeleteRoomRequest, ListRoomsRequest, LiveKitAPI

from libacli.config import LiveKitCredentials
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import listening
from tests.bench.local_stack import Stack, deadline, local_server, speech_server, worker

_CALL = re.compile(rb"POST /twirp/livekit\.\w+/(\w+) HTTP")
_LONGEST_HEAD = 100
_READ_BYTES = 65_536
_SETTLE_S = 20.0
"""After the last agent has come: from then on rooms are at rest."""

_MS_PER_CHAR = 60
"""Of the tone."""

_WAIT_GOAL = 25
_AT_REST_GOAL = 60
_LATENESS_GOAL_S = 0.3


@dataclass
class CountingWire:
    """Passes connections on to a server, and counts the calls on them."""

    host: str
    port: int
    calls: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def laid(self, credentials: LiveKitCredentials) -> AsyncIterator[LiveKitCredentials]:
        """Gives the credentials for the near end of it."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield replace(credentials, url=f"ws://127.0.0.1:{port}")

    async def _connected(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        with closing(near_out), suppress(asyncio.CancelledError):  # the bench is over
            far_in, far_out = await asyncio.open_connection(self.host, self.port)
            with closing(far_out):
                await self._both_ways(near_in, near_out, far_in, far_out)

    async def _both_ways(
        self,
        near_in: asyncio.StreamReader,
        near_out: asyncio.StreamWriter,
        far_in: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(near_in, far_out, counted=True))
                both.create_task(self._pass_on(far_in, near_out, counted=False))
        except* OSError:
            pass

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        rest = b""
        while read := await source.read(_READ_BYTES):
            if counted:
                seen = rest + read
                last = 0
                for found in _CALL.finditer(seen):
                    self.calls[found[1].decode()] += 1
                    last = found.end()
                rest = seen[max(last, len(seen) - _LONGEST_HEAD) :]
            target.write(read)
            await target.drain()
        target.close()


def wire_to(credentials: LiveKitCredentials) -> CountingWire:
    far = urlsplit(credentials.url)
    return CountingWire(far.hostname or "", far.port or 0)


@dataclass(frozen=True)
class Outcome:
    """What one case came to."""

    name: str
    calls: Counter[str]
    seconds: float
    goal: float
    """Calls, a minute or for one line, that are few enough."""

    is_per_minute: bool = True
    note: str = ""

    @property
    def value(self) -> float:
        total = self.calls.total()
        return total * 60 / self.seconds if self.is_per_minute else total

    @property
    def is_reached(self) -> bool:
        return self.value <= self.goal

    def show(self) -> None:
        unit = "calls a minute" if self.is_per_minute else "calls"
        verdict = f"  goal {self.goal:g}  {'pass' if self.is_reached else 'FAIL'}"
        kinds = " ".join(f"{name}={count}" for name, count in sorted(self.calls.items()))
        print(f"  {self.name:<34}{self.value:>7.1f} {unit}{verdict}  {self.note}  [{kinds}]", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long rooms are watched")
    parser.add_argument("--rooms", type=int, nargs="*", default=[1, 10, 100], help="rooms at rest")
    parser.add_argument("--speaking", type=int, default=10, help="rooms that speak")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        outcomes = asyncio.run(_measure(stack, options))
    sys.exit(0 if all(outcome.is_reached for outcome in outcomes) else 1)


async def _measure(stack: Stack, options: argparse.Namespace) -> list[Outcome]:
    outcomes = []
    with speech_server(stack) as voice:
        async with working(stack, voice, "process", most=1) as (wire, prefix):
            outcomes += [await _waiting(stack, f"{prefix}-waiting")]
            outcomes[-1].show()
        for count in options.rooms:
            async with working(stack, voice, _isolation(count), most=count) as (wire, prefix):
                await _bring(stack, _names(prefix, count))
                outcomes += [await _at_rest(wire, count, options.seconds)]
                outcomes[-1].show()
        if count := options.speaking:
            async with working(stack, voice, _isolation(count), most=count) as (wire, prefix):
                await _bring(stack, _names(prefix, count))
                outcomes += await _speaking(stack, wire, _names(prefix, count), options.seconds)
                for outcome in outcomes[-2:]:
                    outcome.show()
    return outcomes


@asynccontextmanager
async def working(
    stack: Stack, voice: dict[str, str], isolation: str, *, most: int
) -> AsyncIterator[tuple[CountingWire, str]]:
    """A worker that has taken `most` rooms at most, its wire, and how its rooms are to begin."""
    wire = wire_to(stack.credentials)
    async with wire.laid(stack.credentials) as near:
        env = voice | {"LIVEKIT_URL": near.url, "LIBA_SAY_MAX_CHARS_PER_HOUR": "0"}
        arguments = ("--isolation", isolation, "--max-rooms", str(most))
        async with AsyncExitStack() as closing:
            running = worker(stack, *arguments, env=env)
            await asyncio.to_thread(running.__enter__)
            closing.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
            end = deadline()
            while "worker is ready" not in (log := (stack.folder / "worker.log").read_text()):
                assert time.monotonic() < end, log
                await asyncio.sleep(0.1)
            yield wire, uuid.uuid4().hex[:6]
    await _close_all_rooms(stack.credentials)  # the next worker would take them over


async def _close_all_rooms(credentials: LiveKitCredentials) -> None:
    secret = credentials.api_secret.get_secret_value()
    async with LiveKitAPI(credentials.url, credentials.api_key, secret) as api:
        for room in (await api.room.list_rooms(ListRoomsRequest())).rooms:
            await api.room.delete_room(DeleteRoomRequest(room=room.name))


def _isolation(rooms: int) -> str:
    return "process" if rooms <= 10 else "thread"


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


async def _bring(stack: Stack, rooms: list[str]) -> None:
    async with LiveKitApi(stack.credentials) as api:
        for room in rooms:
            await _client(api, room).reach(timeout_s=120)


async def _waiting(stack: Stack, room: str) -> Outcome:
    """A client that waits for a line of a minute, and how late it knows its end."""
    wire = wire_to(stack.credentials)
    token = listener_token(stack.credentials, room=room, identity="liba-bench-listener")
    async with (
        wire.laid(stack.credentials) as near,
        LiveKitApi(near) as api,
        listening(stack.credentials.ws_url, token) as listener,
        asyncio.TaskGroup() as tasks,
    ):
        await _bring(stack, [room])
        client = _client(api, room)
        began_at = time.monotonic()
        await client.reach(timeout_s=60)
        said = await client.say(SayRequest(_text(60), id="minute"))

        async def over_at() -> float:
            await listener.wait_for("minute", "done", "unconfirmed")
            return time.monotonic()

        over = tasks.create_task(over_at())
        await client.wait(said, "done", timeout_s=120)
        returned_at = time.monotonic()
        lateness_s = returned_at - await over
    verdict = "pass" if lateness_s <= _LATENESS_GOAL_S else "FAIL"
    goal_ms = _LATENESS_GOAL_S * 1000
    note = f"end known {lateness_s * 1000:+.0f} ms after the event, goal {goal_ms:.0f}: {verdict}"
    seconds = returned_at - began_at
    return Outcome(f"one line of {seconds:.0f} s waited for", wire.calls, seconds, _WAIT_GOAL, False, note)


async def _at_rest(wire: CountingWire, rooms: int, seconds: float) -> Outcome:
    await asyncio.sleep(_SETTLE_S)
    wire.calls.clear()
    await asyncio.sleep(seconds)
    return Outcome(f"worker, {rooms} rooms at rest", Counter(wire.calls), seconds, _AT_REST_GOAL)


async def _speaking(stack: Stack, wire: CountingWire, rooms: list[str], seconds: float) -> list[Outcome]:
    """All rooms speak lines of half the time, one after the other, each waited for by one client."""
    await asyncio.sleep(_SETTLE_S)
    clients = wire_to(stack.credentials)
    async with clients.laid(stack.credentials) as near, LiveKitApi(near) as api:

        async def speak(room: str) -> None:
            client = _client(api, room)
            await client.reach(timeout_s=60)
            for number in range(2):
                said = await client.say(SayRequest(_text(seconds / 2), id=f"{room}-{number}"))
                await client.wait(said, "done", timeout_s=4 * seconds)

        wire.calls.clear()
        began_at = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for room in rooms:
                tasks.create_task(speak(room))
        took_s = time.monotonic() - began_at
    count = len(rooms)
    return [
        Outcome(f"worker, {count} rooms that speak", Counter(wire.calls), took_s, _AT_REST_GOAL),
        Outcome(f"{count} clients that wait", Counter(clients.calls), took_s, count * 60),
    ]


def _client(api: LiveKitApi, room: str) -> AgentClient:
    return AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))


def _text(seconds: float) -> str:
    """A text that sounds for so long."""
    sentence = "This is one sentence of many that are spoken. "
    return (sentence * 100)[: round(seconds * 1000 / _MS_PER_CHAR)].strip()


if __name__ == "__main__":
    main()
