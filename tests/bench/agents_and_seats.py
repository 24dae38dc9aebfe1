"""What the first-audio bench needs on this machine: a server, agents as processes, seats that listen."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import psutil
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.protocol import AGENT_ATTRIBUTE, SAY_TOPIC, STATUS_METHOD
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token, listener_token
from libacli.local.guard import GuardedProcess
from tests.bench.ears import Ear, Hearing
from tests.bench.local_stack import Stack
from tests.bench.stock_agent import AGENT_NAME

_READY_TIMEOUT_S = 60.0
_CALM_TIMEOUT_S = 20.0
_CALM_WINDOW_S = 0.5
_CALM_CORES = 0.25
_LOG_LINES = 15
_ASK_EVERY_S = 0.2
_GRACE_S = 0.2  # an agent that still speaks would finish first


class NotHeardError(Exception):
    """Something that was to be heard was not: no number of this run can be trusted."""


@dataclass(frozen=True)
class Kind:
    """A sort of agent under test."""

    name: str
    command: Callable[[Stack, Sequence[str]], Sequence[str]]
    """The command that brings it into these rooms."""

    agent_name: str | None = None
    """Name it is dispatched by. A worker is sent into one room at a time: of two dispatches that come
    together it may refuse one, and LiveKit does not ask again."""

    has_voice: bool = True
    """Whether it waits for the speech server, whose delay is then taken off."""

    tells: bool = False
    """Whether it is liba: has an attribute once it takes requests, and tells what became of each."""

    heard_from: str = ""
    """How the identities begin of those whose sound counts. What any other agent says is a failure."""

    env: Mapping[str, str] = field(default_factory=dict)


def liba(isolation: str, variant: str = "", **env: str) -> Kind:
    """liba with rooms in processes or threads, and with settings of that variant."""
    agent_name = f"liba-{isolation}{variant}"  # LiveKit sends any worker of a name

    def command(stack: Stack, rooms: Sequence[str]) -> list[str]:
        named = [part for room in rooms for part in ("--room", room)]
        options = ["--isolation", isolation, "--agent-name", agent_name, *named]
        return [sys.executable, "-m", "libacli", "agent", "run", *options]

    return Kind(f"liba ({variant or isolation})", command, agent_name=agent_name, tells=True, env=env)


def _stock(stack: Stack, rooms: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tests.bench.stock_agent", *rooms]


def floor(sound_ms: float) -> Kind:
    """The floor, with a tone of that length."""

    def command(stack: Stack, rooms: Sequence[str]) -> list[str]:
        tokens = [agent_token(stack.credentials, room) for room in rooms]
        url = stack.credentials.ws_url
        return [sys.executable, "-m", "tests.bench.floor_agent", url, str(sound_ms), *tokens]

    return Kind("floor", command, has_voice=False)


LIBA = liba("process")
LIBA_THREAD = liba("thread")
STOCK = Kind("stock", _stock, agent_name=AGENT_NAME)


def agent_token(credentials: LiveKitCredentials, room: str) -> str:
    """A token with which a participant counts as an agent."""
    claims = {
        "iss": credentials.api_key,
        "sub": "agent-floor",
        "kind": "agent",
        "exp": int(time.time()) + 3600,  # noqa: TID251 - a token's life is wall time
        "video": {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True},
    }
    return jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")


class Seat:
    """The bench's place in one room, with one agent: sends texts and hears what comes of them."""

    def __init__(self, kind: Kind, room: str, credentials: LiveKitCredentials, log_path: Path) -> None:
        self.kind = kind
        self.room = room
        self._credentials = credentials
        self._log_path = log_path
        self._stay = AsyncExitStack()
        self._listener: Ear
        self._others: Ear
        self._changed = asyncio.Event()
        self.track_at = 0.0
        """When the agent's track was there for the first time, on the loop's clock."""

        self.ready_at = 0.0
        """When the agent took requests for the first time."""

    async def join(self) -> None:
        """Takes the seat; leaves and comes back if it was taken. A subscriber is a new one then."""
        await self.leave()
        permissions = Permissions(can_say=True)
        token = join_token(
            self._credentials,
            room=self.room,
            identity="bench",
            valid_for_s=24 * 3600,  # its permission is to last as long as the longest run
            permissions=permissions,
        )
        room = rtc.Room()
        self._listener = Ear(room, self._counts)
        self._others = Ear(room, lambda identity: not self._counts(identity))
        room.on("track_subscribed", self._on_track)
        for event in ("participant_attributes_changed", "track_published"):
            room.on(event, lambda *_: self._changed.set())
        await self._stay.enter_async_context(joined(room, self._credentials.ws_url, token))
        for ear in (self._listener, self._others):
            running = asyncio.get_running_loop().create_task(ear.run())
            self._stay.push_async_callback(_stopped, running)

    async def leave(self) -> None:
        await self._stay.aclose()

    def _counts(self, identity: str) -> bool:
        return identity.startswith(self.kind.heard_from)

    def _on_track(self, _track: object, _publication: object, participant: rtc.RemoteParticipant) -> None:
        if self._counts(participant.identity):
            self.track_at = self.track_at or asyncio.get_running_loop().time()

    async def ready(self) -> None:
        """Waits until the agent's sound arrives here and it takes requests."""
        await self._listener.subscribed.wait()
        while not self._avatar_is_ready() or (self.kind.tells and not self._agent()):
            self._changed.clear()
            await self._changed.wait()
        while self.kind.tells:
            if await self._agent_knows_us():
                break
            await asyncio.sleep(_ASK_EVERY_S)
        self.ready_at = self.ready_at or asyncio.get_running_loop().time()

    def _agent(self) -> str:
        """Identity of liba once it takes requests, or ""."""
        there = self._listener.room.remote_participants.items()
        return next((identity for identity, one in there if AGENT_ATTRIBUTE in one.attributes), "")

    async def _agent_knows_us(self) -> bool:
        """Whether it takes our requests. The server may take 3 s to tell of one who publishes nothing."""
        answer = await self._listener.room.local_participant.perform_rpc(
            destination_identity=self._agent(), method=STATUS_METHOD, payload="{}"
        )
        return "rejected" not in json.loads(answer)

    def _avatar_is_ready(self) -> bool:
        """Whether it has published its picture, for which agents wait."""
        there = self._listener.room.remote_participants.values()
        return not self.kind.heard_from or any(
            publication.kind == rtc.TrackKind.KIND_VIDEO
            for one in there
            if self._counts(one.identity)
            for publication in one.track_publications.values()
        )

    async def send(self, text: str) -> tuple[str, float]:
        """Asks for one text; its id, and when it was sent."""
        utterance = uuid.uuid4().hex[:12]
        payload = f'{{"text": "{text}", "id": "{utterance}"}}'
        sent_at = asyncio.get_running_loop().time()
        await self._listener.room.local_participant.publish_data(payload, topic=SAY_TOPIC)
        return utterance, sent_at

    def listen(self, *, quiet_s: float = 0.1) -> Hearing:
        """Forgets what was heard, and listens anew."""
        self._listener.capture = hearing = Hearing(quiet_s=quiet_s)
        self._others.start_capture()
        return hearing

    async def outcome(self, utterance: str) -> dict[str, Any]:
        """What liba says of an utterance that it has finished. Raises NotHeardError for another end."""
        event = await self._listener.wait_for(utterance, "done", "failed", "unconfirmed", "rejected")
        route = "tavus" if self.kind.heard_from else "fallback"
        if event["state"] != "done" or event["route"] != route:
            raise self.failure(f"says: {event}")
        return event

    def check_origin(self) -> None:
        """Raises NotHeardError when somebody was heard who was not to speak."""
        if self._others.capture.first_audible_at is not None:
            raise self.failure(f"was heard from another participant than {self.kind.heard_from}")

    def failure(self, complaint: str) -> NotHeardError:
        """What to raise when this agent was not heard as it should have been."""
        lines = self._log_path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return NotHeardError("\n".join([f"{self.kind.name} {complaint}; its log ends so:", *lines]))


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


class RunningAgents:
    """Agents, running, each with its seats."""

    def __init__(self, stack: Stack, base_url: str) -> None:
        self.stack = stack
        voice = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "LIBA_VOICE_PROVIDERS": "speech"}
        # The same few texts are said again and again: each is to be asked of the voice.
        self._env = stack.env | voice | {"LIBA_VOICE_CACHE_MEMORY_MB": "0"}

    @asynccontextmanager
    async def seats(self, kind: Kind, count: int) -> AsyncIterator[tuple[list[Seat], float]]:
        """An agent of that kind in `count` rooms of its own, ready and at rest; and when it was started."""
        loop = asyncio.get_running_loop()
        rooms = [f"bench-{uuid.uuid4().hex[:8]}" for _ in range(count)]
        log_path = self.stack.folder / f"{rooms[0]}.log"
        async with AsyncExitStack() as stack:
            seats = [Seat(kind, room, self.stack.credentials, log_path) for room in rooms]
            for seat in seats:
                stack.push_async_callback(seat.leave)
                await seat.join()
                if kind.heard_from:
                    await stack.enter_async_context(self._viewer_in(seat.room))
            started_at = loop.time()
            process = stack.enter_context(self._start(kind, rooms, log_path))
            try:
                await self._ready(kind, seats, process)
                yield seats, started_at
            finally:
                await asyncio.to_thread(process.terminate)

    def _viewer_in(self, room: str) -> AbstractAsyncContextManager[rtc.Room]:
        """Somebody who stays while seats are taken anew: an avatar leaves with the last who sees it."""
        token = listener_token(self.stack.credentials, room=room, identity="bench-viewer")
        return joined(rtc.Room(), self.stack.credentials.ws_url, token, auto_subscribe=False)

    async def _ready(self, kind: Kind, seats: Sequence[Seat], process: GuardedProcess) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        async with asyncio.TaskGroup() as tasks:
            entering = tasks.create_task(self._enter(kind, seats))
            while not entering.done():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise seats[0].failure("was not ready")
                await asyncio.wait([entering], timeout=0.2)

    async def _enter(self, kind: Kind, seats: Sequence[Seat]) -> None:
        async with LiveKitApi(self.stack.credentials) as api:
            for number, seat in enumerate(seats):
                if number and kind.agent_name:
                    await api.dispatch(seat.room, kind.agent_name)
                await seat.ready()

    def _start(self, kind: Kind, rooms: Sequence[str], log_path: Path) -> GuardedProcess:
        command = kind.command(self.stack, rooms[:1] if kind.agent_name else rooms)
        env = self._env | dict(kind.env) | {"PYTHONPATH": str(Path.cwd())}
        with log_path.open("wb") as log:
            return GuardedProcess.start(command, env=env, cwd=self.stack.folder, stdout=log, grace_s=_GRACE_S)


async def calm() -> None:
    """Waits until our own processes are at rest; a worker goes on making spare processes for a while."""
    deadline = time.monotonic() + _CALM_TIMEOUT_S
    before = _cpu_s()
    while time.monotonic() < deadline:
        # CPU time can only be looked at again and again.
        await asyncio.sleep(_CALM_WINDOW_S)
        after = _cpu_s()
        if sum(after.get(pid, 0) - before.get(pid, 0) for pid in after) < _CALM_CORES * _CALM_WINDOW_S:
            return
        before = after


def _cpu_s() -> dict[int, float]:
    """CPU seconds so far of each process below us."""
    spent = {}
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent[process.pid] = times.user + times.system
    return spent
