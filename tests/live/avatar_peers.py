"""Who meets an avatar in a room: an agent that sends it sound, and a viewer who hears and sees it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from livekit import api, rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_BYTES, duration_s
from libacli.core.emotion import Emotion
from libacli.core.mouth import MouthShape
from libacli.edges.livekit.joining import joined
from libacli.edges.viewer.listener import AudioCapture

AVATAR = "tavus-avatar-agent"
_OPEN = 0.3


class LampFace:
    """A picture that is as bright as the mouth is open, and flickers a little: time can be read off it."""

    size = 128

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> bytes:
        pixels = self.size * self.size
        brightness = 200 if mouth.openness >= _OPEN else 20 + int(at_s * 25) % 2 * 4
        return bytes([brightness]) * pixels + b"\x80" * (pixels // 2)

    def express(self, emotion: Emotion) -> LampFace:
        return self


def token(
    credentials: LiveKitCredentials, room: str, identity: str, *, kind: str = "standard", **attributes: str
) -> str:
    """A token as Tavus's plugin makes it for the avatar, and LiveKit for agents."""
    secret = credentials.api_secret.get_secret_value()
    return (
        api.AccessToken(credentials.api_key, secret)
        .with_kind(kind)  # type: ignore[arg-type]
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room=room))
        .with_attributes(attributes)
        .to_jwt()
    )


def avatar_token(credentials: LiveKitCredentials, room: str, *, agent: str = "agent-test") -> str:
    """A token for the avatar of that agent."""
    return token(credentials, room, AVATAR, kind="agent", **{"lk.publish_on_behalf": agent})


@dataclass
class Report:
    """One call of `lk.playback_finished`."""

    payload: str
    came_at: float
    """On the loop's clock."""

    @property
    def position_s(self) -> float:
        return float(json.loads(self.payload)["playback_position"])

    @property
    def is_interrupted(self) -> bool:
        return bool(json.loads(self.payload)["interrupted"])


class Agent:
    """Sends sound to the avatar by byte streams, and takes its reports."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.started: asyncio.Queue[float] = asyncio.Queue()
        self.avatar_left = asyncio.Event()
        self._changed = asyncio.Event()
        room.on("participant_disconnected", self._on_left)
        room.on("track_published", lambda *_: self._changed.set())

    def open(self) -> None:
        self.room.local_participant.register_rpc_method("lk.playback_finished", self._on_finished)
        self.room.local_participant.register_rpc_method("lk.playback_started", self._on_started)

    async def avatar_ready(self, *, with_video: bool = True) -> None:
        """Waits until the avatar has published."""
        wanted = {rtc.TrackKind.KIND_AUDIO} | ({rtc.TrackKind.KIND_VIDEO} if with_video else set())
        async with asyncio.timeout(60):
            while not wanted <= self._published():
                self._changed.clear()
                await self._changed.wait()

    async def stream(self) -> rtc.ByteStreamWriter:
        return await self.room.local_participant.stream_bytes(
            name=f"AUDIO_{uuid.uuid4().hex[:8]}",
            topic="lk.audio_stream",
            destination_identities=[AVATAR],
            attributes={"sample_rate": "24000", "num_channels": "1"},
        )

    async def send(self, pcm: bytes, *, piece_bytes: int = FRAME_BYTES, pause_s: float = 0.0) -> None:
        """One utterance, in pieces of that size, with a pause after each."""
        stream = await self.stream()
        for start in range(0, len(pcm), piece_bytes):
            await stream.write(pcm[start : start + piece_bytes])
            if pause_s:
                await asyncio.sleep(pause_s)
        await stream.aclose()

    async def clear(self) -> str:
        async with asyncio.timeout(60):
            return await self.room.local_participant.perform_rpc(
                destination_identity=AVATAR, method="lk.clear_buffer", payload=""
            )

    async def report(self, timeout_s: float = 60.0) -> Report:
        async with asyncio.timeout(timeout_s):
            return await self.reports.get()

    def _published(self) -> set[int]:
        avatar = self.room.remote_participants.get(AVATAR)
        return {int(one.kind) for one in avatar.track_publications.values()} if avatar else set()

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        self.reports.put_nowait(Report(call.payload, asyncio.get_running_loop().time()))
        return "ok"

    async def _on_started(self, _: rtc.RpcInvocationData) -> str:
        self.started.put_nowait(asyncio.get_running_loop().time())
        return "ok"

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == AVATAR:
            self.avatar_left.set()


@dataclass
class Glimpse:
    """One picture, as a viewer gets it."""

    came_at: float
    """On the loop's clock."""

    brightness: int
    """Of its middle, 0 to 255."""


@dataclass
class Viewer:
    """Hears and sees the avatar."""

    capture: AudioCapture = field(default_factory=AudioCapture)
    onsets: list[float] = field(default_factory=list)
    """When sound began after 200 ms or more without, on the loop's clock."""

    glimpses: list[Glimpse] = field(default_factory=list)
    hears: asyncio.Event = field(default_factory=asyncio.Event)
    sees: asyncio.Event = field(default_factory=asyncio.Event)
    tracks: asyncio.Queue[rtc.Track] = field(default_factory=asyncio.Queue)

    def listen_anew(self) -> None:
        """Forgets what was heard and seen."""
        self.capture = AudioCapture()
        self.onsets, self.glimpses = [], []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                track = await self.tracks.get()
                is_sound = isinstance(track, rtc.RemoteAudioTrack)
                tasks.create_task(self._hear(track) if is_sound else self._see(track))

    async def _hear(self, track: rtc.Track) -> None:
        clock = asyncio.get_running_loop().time
        stream = rtc.AudioStream(track, sample_rate=24_000, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                self.hears.set()
                before, now = self.capture.last_audible_at, clock()
                self.capture.add(bytes(event.frame.data), now)
                if self.capture.last_audible_at == now and now - (before or 0.0) > 0.2:
                    self.onsets.append(now)
        finally:
            await stream.aclose()

    async def _see(self, track: rtc.Track) -> None:
        clock = asyncio.get_running_loop().time
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
        try:
            async for event in stream:
                frame = event.frame
                middle = frame.data[frame.height // 2 * frame.width + frame.width // 2]
                self.glimpses.append(Glimpse(clock(), middle))
                self.sees.set()
        finally:
            await stream.aclose()


@asynccontextmanager
async def agent_in(
    credentials: LiveKitCredentials, room: str, identity: str = "agent-test"
) -> AsyncIterator[Agent]:
    agent = Agent(rtc.Room())
    there = token(credentials, room, identity, kind="agent")
    async with joined(agent.room, credentials.ws_url, there, auto_subscribe=False):
        agent.open()
        yield agent


@asynccontextmanager
async def viewer_in(credentials: LiveKitCredentials, room: str) -> AsyncIterator[Viewer]:
    viewer = Viewer()
    there = rtc.Room()
    there.on("track_subscribed", lambda track, *_: viewer.tracks.put_nowait(track))
    async with joined(there, credentials.ws_url, token(credentials, room, "viewer")):
        running = asyncio.get_running_loop().create_task(viewer.run())
        try:
            yield viewer
        finally:
            running.cancel()
            await asyncio.wait([running])


class TavusClient:
    """Calls an avatar service as Tavus's plugin does, with what the plugin sends."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, key: SecretStr, livekit: LiveKitCredentials
    ) -> None:
        self._session = session
        self._url = f"{base_url}/v2/conversations"
        self._headers = {"x-api-key": key.get_secret_value()}
        self._livekit = livekit

    async def create(self, room: str, *, agent: str = "agent-test", **properties: Any) -> str:
        """Sends the avatar to a room; the conversation's id."""
        there = {
            "livekit_ws_url": self._livekit.ws_url,
            "livekit_room_token": avatar_token(self._livekit, room, agent=agent),
        }
        body = {"pal_id": "pb87e71797da", "properties": there | properties, "conversation_name": room}
        return str((await self._call("POST", "", body))["conversation_id"])

    async def get(self, conversation_id: str) -> dict[str, Any]:
        return await self._call("GET", f"/{conversation_id}?verbose=true")

    async def ended(self, conversation_id: str) -> str:
        """Waits for the end of a conversation and gives its reason."""
        async with asyncio.timeout(60):
            while True:
                told = await self.get(conversation_id)
                if told["status"] == "ended":
                    return str(told["shutdown_reason"])
                await asyncio.sleep(0.02)

    async def end(self, conversation_id: str) -> None:
        async with self._session.post(
            f"{self._url}/{conversation_id}/end", headers=self._headers
        ) as response:
            assert response.status == 200

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with self._session.request(
            method, self._url + path, json=body, headers=self._headers
        ) as response:
            assert response.status == 200, await response.text()
            answer: dict[str, Any] = await response.json()
            return answer


@dataclass(frozen=True)
class Meeting:
    """Agent, avatar and viewer in one room, all ready."""

    agent: Agent
    viewer: Viewer
    conversation_id: str
    tavus: TavusClient
    room: str


@asynccontextmanager
async def meeting(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str, **properties: Any
) -> AsyncIterator[Meeting]:
    """Brings all of them together."""
    async with AsyncExitStack() as stack:
        viewer = await stack.enter_async_context(viewer_in(credentials, room))
        agent = await stack.enter_async_context(agent_in(credentials, room))
        conversation_id = await tavus.create(room, **properties)
        await agent.avatar_ready()
        async with asyncio.timeout(60):
            await viewer.hears.wait()
            await viewer.sees.wait()
        yield Meeting(agent, viewer, conversation_id, tavus, room)


def seconds(pcm: bytes | bytearray) -> float:
    return duration_s(len(pcm))
