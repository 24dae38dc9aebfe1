"""An avatar in a FakeRoom: it plays what it is sent in time, and reports, or not, as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from livekit import rtc

from libacli.core.audio import FRAME_MS, is_audible
from libacli.edges.livekit.fake_streams import ScriptedWriter
from libacli.edges.livekit.fakes import FakeParticipant, FakePublication, FakeRoom
from libacli.edges.sinks.avatar import CLEAR_METHOD, FINISHED_METHOD

Report = Literal["on time", "never", "twice", "late", "malformed"]

LATE_S = 6.0
"""How late a late report is: later than any bound of the sink."""


class FakeAvatar:
    """`run` plays until cancelled; `leave` and another `join` may come at any time."""

    def __init__(self, room: FakeRoom, *, way_s: float = 0.0) -> None:
        self.report: Report = "on time"
        self.is_frozen = False
        """It takes what it is sent and shows nothing of it, nor of the rest of that stream."""

        self.heard: list[tuple[float, bytes]] = []
        """When a frame began to sound, and the frame."""

        self.clears = 0
        self.identity = ""
        self._room = room
        self._way_s = way_s
        self._count = 0
        self._participant: FakeParticipant | None = None
        self._publication: FakePublication | None = None
        self._playing: asyncio.Task[None] | None = None
        self._is_all_there = False
        self._streams: asyncio.Queue[ScriptedWriter] = asyncio.Queue()

    def join(self) -> str:
        """Comes into the room, with a track; each time as somebody new."""
        self._count += 1
        self.identity = f"avatar-{self._count}"
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self._participant = FakeParticipant(self.identity, kind=kind)
        self._participant.streams = self._streams
        self._participant.rpc_methods[CLEAR_METHOD] = self._on_clear
        self._room.join(self._participant)
        self._publication = self._room.publish(self.identity, rtc.TrackKind.KIND_AUDIO)
        return self.identity

    def leave(self) -> None:
        if self._participant:
            self._participant = None
            self._stop_playing()
            self._room.leave(self.identity)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                stream = await self._streams.get()
                if self._playing and self._is_all_there:
                    await asyncio.wait([self._playing])
                self._stop_playing()  # whoever opens another one has given up the one that has no end
                self._playing = tasks.create_task(self._play(stream, self.identity, tasks))

    async def _play(self, stream: ScriptedWriter, identity: str, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        self._is_all_there, is_frozen = False, False
        ends_at: float | None = None
        played_s = 0.0
        async for frame in stream.received():
            is_frozen = is_frozen or self.is_frozen
            if not is_frozen:
                starts_at = loop.time() + self._way_s if ends_at is None else ends_at
                await asyncio.sleep(starts_at - loop.time())
                self._sound(frame)
                ends_at = max(starts_at, loop.time()) + FRAME_MS / 1000
                played_s += FRAME_MS / 1000
        self._is_all_there = True
        await asyncio.sleep((ends_at or 0.0) - loop.time())
        if self.report != "never" and not is_frozen:
            tasks.create_task(self._tell(identity, played_s))

    def _sound(self, frame: bytes) -> None:
        if is_audible(frame):
            self.heard.append((asyncio.get_running_loop().time(), frame))
        if self._publication and self._publication.track:
            self._publication.track.play(frame)

    async def _tell(self, identity: str, played_s: float, *, interrupted: bool = False) -> None:
        if self.report == "late":
            await asyncio.sleep(LATE_S)
        payload = json.dumps({"playback_position": played_s, "interrupted": interrupted})
        for _ in range(2 if self.report == "twice" else 1):
            if identity in self._room.remote_participants:
                with suppress(rtc.RpcError):
                    told = "not json" if self.report == "malformed" else payload
                    await self._room.call(identity, FINISHED_METHOD, told)

    async def _on_clear(self, _: rtc.RpcInvocationData) -> str:
        self.clears += 1
        self._stop_playing()
        return "ok"

    def _stop_playing(self) -> None:
        if self._playing:
            self._playing.cancel()
            self._playing = None


@asynccontextmanager
async def avatar_in(room: FakeRoom, *, way_s: float = 0.0) -> AsyncIterator[FakeAvatar]:
    """An avatar that has not joined yet, and plays as long as the block lasts."""
    avatar = FakeAvatar(room, way_s=way_s)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(avatar.run())
        yield avatar
        running.cancel()
