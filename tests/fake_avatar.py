"""An avatar in a FakeRoom: it plays what it is sent in time, and reports, or not, as a test says.

Its track is never without PCM, as in the SDK: where nothing sounds silence comes.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from livekit import rtc

from libacli.core.audio import FRAME_MS, SAMPLE_RATE, frames_of, is_audible
from libacli.edges.livekit.fake_streams import FakeTrack, ScriptedWriter
from libacli.edges.livekit.fakes import FakeParticipant, FakePublication, FakeRoom
from libacli.edges.sinks.avatar import CLEAR_METHOD, FINISHED_METHOD

Report = Literal[
    "on time", "never", "twice", "late", "a second late", "malformed",
    "early", "at once", "padded", "zero", "interrupted",
]  # fmt: skip
"""How the end is told: `early` is half a second before it, `at once` when all has been received; `padded`,
`zero` and `interrupted` are told on time, with a position 1 s too long, of 0, and as if it was cut off."""

LATE_S = 6.0
"""How late a late report is: later than any bound of the sink."""

EARLY_S = 0.5
PADDING_S = 1.0
_FRAME_S = FRAME_MS / 1000
_BEAT_S = 0.1
_IDLE_BEAT_S = 5.0
_IDLE_AFTER_S = 10.0


@dataclass
class _Line:
    """What was received of one utterance, and how much of it has been played."""

    identity: str
    frames: list[bytes] = field(default_factory=list)
    is_all_there: bool = False
    played: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def left_s(self) -> float:
        return (len(self.frames) - self.played) * _FRAME_S


class FakeAvatar:
    """`run` plays until cancelled; `leave` and another `join` may come at any time."""

    def __init__(self, room: FakeRoom, *, way_s: float = 0.0) -> None:
        self.report: Report = "on time"
        self.reports_frozen = False
        """It reports also what it did not show because it was frozen."""

        self.swallows_s = 0.0
        """How much of the end of each line it does not show."""

        self.hole_s = 0.0
        """For how long it stops playing, once a second."""

        self.leaves_out_silence = False
        self.deaf_to_clears = 0
        """How many of the next calls of `lk.clear_buffer` it does not answer, nor heed."""

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
        self._line: _Line | None = None
        self._streams: asyncio.Queue[ScriptedWriter] = asyncio.Queue()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._drops = 0
        self._given_until = -math.inf
        self._joined_at = 0.0

    @property
    def is_frozen(self) -> bool:
        """It is there and takes what it is sent, and shows nothing of it; it goes on when it is no longer."""
        return not self._thawed.is_set()

    @is_frozen.setter
    def is_frozen(self, is_frozen: bool) -> None:
        self._thawed.clear() if is_frozen else self._thawed.set()

    def join(self) -> str:
        """Comes into the room, with a track; each time as somebody new."""
        self._count += 1
        self._joined_at = asyncio.get_running_loop().time()
        self.identity = f"avatar-{self._count}"
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self._participant = FakeParticipant(self.identity, kind=kind)
        self._participant.streams = self._streams
        self._participant.rpc_methods[CLEAR_METHOD] = self._on_clear
        self._room.join(self._participant)
        self._publication = self._room.publish(self.identity, rtc.TrackKind.KIND_AUDIO)
        return self.identity

    def publish_anew(self) -> FakeTrack:
        """Another track takes the place of its first one, which has not ended yet, and is returned."""
        assert self._publication and self._publication.track
        first = self._publication.track
        self._publication = self._room.publish(self.identity, rtc.TrackKind.KIND_AUDIO)
        return first

    def leave(self) -> None:
        if self._participant:
            self._participant = self._publication = None
            self._drop_all()
            self._room.leave(self.identity)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._be_silent())
            while True:
                stream, drops = await self._streams.get(), self._drops
                if self._playing and self._line and self._line.is_all_there:
                    await asyncio.wait([self._playing])
                if drops != self._drops:
                    continue
                self._stop_playing()  # whoever opens another one has given up the one that has no end
                self._line = _Line(self.identity)
                self._playing = tasks.create_task(self._perform(stream, self._line, tasks))

    async def _perform(self, stream: ScriptedWriter, line: _Line, tasks: asyncio.TaskGroup) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._receive(stream, line, tasks))
            both.create_task(self._play(line))
        if self.report not in ("early", "at once"):
            tasks.create_task(self._tell(line))

    async def _receive(self, stream: ScriptedWriter, line: _Line, tasks: asyncio.TaskGroup) -> None:
        async for frames in stream.received():
            for frame in frames_of(frames):
                if is_audible(frame) or not self.leaves_out_silence:
                    line.frames.append(frame)
                line.arrived.set()
        line.is_all_there = True
        line.arrived.set()
        if self.report == "early":
            await asyncio.sleep(line.left_s - EARLY_S)
        if self.report in ("early", "at once"):
            tasks.create_task(self._tell(line))

    async def _play(self, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        ends_at: float | None = None
        while await self._has_frame(line):
            starts_at = loop.time() + self._way_s if ends_at is None else ends_at
            if self.hole_s and line.played % 50 == 49:
                starts_at += self.hole_s
            await asyncio.sleep(starts_at - loop.time())
            if not self.reports_frozen:
                await self._thawed.wait()
            is_swallowed = line.is_all_there and line.left_s <= self.swallows_s
            if not self.is_frozen and not is_swallowed:
                self._sound(line.frames[line.played])
            line.played += 1
            ends_at = max(starts_at, loop.time()) + _FRAME_S
        await asyncio.sleep((ends_at or 0.0) - loop.time())

    async def _has_frame(self, line: _Line) -> bool:
        while line.played == len(line.frames) and not line.is_all_there:
            line.arrived.clear()
            await line.arrived.wait()
        return line.played < len(line.frames)

    def _sound(self, frame: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if is_audible(frame):
            self.heard.append((now, frame))
        self._give_silence()
        if self._publication and self._publication.track:
            self._publication.track.play(frame)
            self._given_until = now + _FRAME_S

    def _give_silence(self) -> None:
        """Up to now, where nothing sounded."""
        now = asyncio.get_running_loop().time()
        if self._publication and self._publication.track:
            if 0 < (silent_s := now - self._given_until) < math.inf:
                self._publication.track.play(bytes(2 * int(silent_s * SAMPLE_RATE)) or bytes(2))
            self._given_until = max(self._given_until, now)

    async def _be_silent(self) -> None:
        """Gives PCM all the time; less often, and more at a time, when nothing was said for long."""
        while True:
            self._give_silence()
            is_playing = self._playing and not self._playing.done()
            since = max([self._joined_at] + [at for at, _ in self.heard[-1:]])
            is_idle = asyncio.get_running_loop().time() - since > _IDLE_AFTER_S
            await asyncio.sleep(_IDLE_BEAT_S if is_idle and not is_playing else _BEAT_S)

    async def _tell(self, line: _Line) -> None:
        if self.report == "never" or (self.is_frozen and not self.reports_frozen):
            return
        await asyncio.sleep({"late": LATE_S, "a second late": 1.0}.get(self.report, 0.0))
        position_s = len(line.frames) * _FRAME_S
        position_s = {"zero": 0.0, "padded": position_s + PADDING_S}.get(self.report, position_s)
        payload = json.dumps({"playback_position": position_s, "interrupted": self.report == "interrupted"})
        for _ in range(2 if self.report == "twice" else 1):
            if line.identity in self._room.remote_participants:
                with suppress(rtc.RpcError):
                    told = "not json" if self.report == "malformed" else payload
                    await self._room.call(line.identity, FINISHED_METHOD, told)

    async def _on_clear(self, _: rtc.RpcInvocationData) -> str:
        if self.deaf_to_clears:
            self.deaf_to_clears -= 1
            await asyncio.Event().wait()
        self.clears += 1
        self._drop_all()
        return "ok"

    def _drop_all(self) -> None:
        """What it plays, what waits for that, and what it was sent since."""
        self._drops += 1
        self._stop_playing()
        while not self._streams.empty():
            self._streams.get_nowait()

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
