"""A Tavus that misbehaves as a test tells it: the HTTP service, and a participant that really plays.

In a test: `async with FaultyAvatar() as tavus: tavus.play(Script(create=402))`, then give `tavus.base_url`
and `tavus.api_key` to what is tested. It has no face: its picture is grey. The participant shares no code
with the local avatar, so that both do not have the same mistakes.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from aiohttp.typedefs import Handler
from livekit import rtc
from pydantic import SecretStr

from libacli.core.audio import SAMPLE_RATE, FrameSlicer, duration_s
from libacli.edges.livekit.joining import joined
from libacli.local.avatar import Invitation
from libacli.local.avatar_service import AvatarService, serving

Create = Literal["ok", "too many", "hang", "lost", 401, 402, 429, 500]
Report = Literal["on time", "never", "twice", "malformed"]

_SIZE = 64
_REFUSALS: dict[Create, tuple[int, dict[str, str]]] = {
    "too many": (400, {"message": "User has reached maximum concurrent conversations"}),
    401: (401, {"message": "Invalid access token"}),
    402: (402, {"message": "The user is out of conversational credits."}),
    429: (429, {"message": "Too many requests"}),
    500: (500, {"error": "Internal server error"}),
}


@dataclass(frozen=True)
class Script:
    """How one conversation goes."""

    create: Create = "ok"
    """Status that the request is answered with; `too many` is 400; `hang` answers after 60 s; `lost` creates
    the conversation and closes the connection without an answer."""

    joins: bool = True
    """Whether the avatar comes at all."""

    join_after_s: float = 0.0
    """Seconds from the answer until it does."""

    has_video: bool = True
    """Whether it publishes a picture too."""

    leaves_after_frames: int | None = None
    """It leaves the room when it has received so many 20 ms frames, counted over all utterances."""

    report: Report = "on time"
    """Whether and how it calls `lk.playback_finished` when an utterance has been played."""

    report_shift_s: float = 0.0
    """Seconds by which that comes later; less than zero is earlier."""

    hears_clear: bool = True
    """Whether it takes `lk.clear_buffer`; if not, that call fails."""


class FaultyAvatar:
    """Each request for a conversation goes by the next script in line, or by `default` when there is none."""

    def __init__(self, default: Script | None = None) -> None:
        self.default = default or Script()
        self.api_key = SecretStr("key-of-the-faulty-avatar")
        self.base_url = ""
        """What to give to a client as TAVUS_BASE_URL; known once it runs."""

        self.bodies: list[dict[str, Any]] = []
        """JSON of the requests to create a conversation so far, refused ones included."""

        self.ends: list[str] = []
        """Ids of conversations that were asked to end, repeated if asked twice."""

        self.frames = 0
        """20 ms frames that all participants have received."""

        self.played_at: list[float] = []
        """When the sound of each utterance was played, or would have been, on the loop's clock."""

        self._scripts: deque[Script] = deque()
        self._accepted: deque[Script] = deque()
        self._service = AvatarService(self.api_key, self._attend, middlewares=[self._misbehave])
        self._stack = AsyncExitStack()

    @property
    def creates(self) -> int:
        """How often a conversation was asked for."""
        return len(self.bodies)

    @property
    def created(self) -> int:
        """How many there have been; the others asked for were refused."""
        return len(self._service.conversations)

    @property
    def active(self) -> list[str]:
        """Ids of conversations that run, and cost money."""
        return [one.id for one in self._service.conversations.values() if one.status == "active"]

    def play(self, *scripts: Script) -> None:
        """Sets how the next conversations go, one script each."""
        self._scripts.extend(scripts)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(serving(self._service))
        self.base_url = self._service.base_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.endswith("/end"):
            self.ends.append(request.match_info["id"])
        if (request.method, request.path) != ("POST", "/v2/conversations"):
            return await handler(request)
        self.bodies.append(await request.json())
        script = self._scripts.popleft() if self._scripts else self.default
        if script.create == "hang":
            await asyncio.sleep(60)
        if refusal := _REFUSALS.get(script.create):
            status, told = refusal
            return web.json_response(told, status=status)
        if not self.bodies[-1].get("test_mode"):
            self._accepted.append(script)
        answer = await handler(request)
        if script.create == "lost" and request.transport:
            request.transport.abort()
        return answer

    async def _attend(self, invitation: Invitation) -> str:
        script = self._accepted.popleft()
        await asyncio.sleep(script.join_after_s)
        if not script.joins:
            await asyncio.Event().wait()
        async with (
            joined(rtc.Room(), invitation.url, invitation.token, auto_subscribe=False) as room,
            asyncio.TaskGroup() as tasks,
        ):
            participant = _Participant(room, script, self._count, self.played_at.append)
            performing = tasks.create_task(participant.run())
            await participant.gone.wait()
            performing.cancel()
        return "room_closed"

    def _count(self) -> None:
        self.frames += 1


class _Participant:
    """Plays what it receives on a plain track."""

    def __init__(
        self,
        room: rtc.Room,
        script: Script,
        count: Callable[[], None],
        note_end: Callable[[float], None],
    ) -> None:
        self.gone = asyncio.Event()
        """Set when it is to leave the room, or is out of it."""

        self._room = room
        self._script = script
        self._count = count
        self._note_end = note_end
        self._received = 0
        self._streams: asyncio.Queue[tuple[rtc.ByteStreamReader, str]] = asyncio.Queue()
        self._cleared = asyncio.Event()
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=60_000)
        self._picture = rtc.VideoSource(_SIZE, _SIZE)

    async def run(self) -> None:
        me = self._room.local_participant
        self._room.on("disconnected", lambda _: self.gone.set())
        self._room.register_byte_stream_handler(
            "lk.audio_stream", lambda stream, sender: self._streams.put_nowait((stream, sender))
        )
        if self._script.hears_clear:
            me.register_rpc_method("lk.clear_buffer", self._on_clear)
        track = rtc.LocalAudioTrack.create_audio_track("sound", self._source)
        await me.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        async with asyncio.TaskGroup() as tasks:
            if self._script.has_video:
                tasks.create_task(self._show())
            while True:
                stream, sender = await self._streams.get()
                self._cleared = asyncio.Event()
                pushed_s = await self._play(stream)
                tasks.create_task(self._finish(sender, pushed_s, self._cleared))

    async def _play(self, stream: rtc.ByteStreamReader) -> float:
        """Queues all that the stream brings, until its end or `lk.clear_buffer`; its seconds."""
        pushed_s = 0.0
        slicer = FrameSlicer()
        with suppress(rtc.StreamError):
            async for chunk in stream:
                for frame in slicer.push(chunk):
                    self._receive()
                    if not self._cleared.is_set():
                        sound = rtc.AudioFrame(frame, SAMPLE_RATE, 1, len(frame) // 2)
                        await self._source.capture_frame(sound)
                        pushed_s += duration_s(len(frame))
        return pushed_s

    def _receive(self) -> None:
        self._count()
        self._received += 1
        if self._received == self._script.leaves_after_frames:
            self.gone.set()

    async def _finish(self, sender: str, pushed_s: float, cleared: asyncio.Event) -> None:
        """Reports the end as the script says."""
        ends_at = self._now() + self._source.queued_duration
        self._note_end(ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at + self._script.report_shift_s):
                await cleared.wait()
        if self._script.report == "never":
            return
        remaining_s = max(0.0, ends_at - self._now()) if cleared.is_set() else 0.0
        told = {"playback_position": pushed_s - remaining_s, "interrupted": cleared.is_set()}
        payload = "not json" if self._script.report == "malformed" else json.dumps(told)
        for _ in range(2 if self._script.report == "twice" else 1):
            with suppress(rtc.RpcError):
                await self._room.local_participant.perform_rpc(
                    destination_identity=sender, method="lk.playback_finished", payload=payload
                )

    async def _on_clear(self, _: rtc.RpcInvocationData) -> str:
        self._cleared.set()
        self._source.clear_queue()
        return "ok"

    async def _show(self) -> None:
        track = rtc.LocalVideoTrack.create_video_track("picture", self._picture)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        await self._room.local_participant.publish_track(track, options)
        grey = rtc.VideoFrame(_SIZE, _SIZE, rtc.VideoBufferType.I420, b"\x80" * (_SIZE * _SIZE * 3 // 2))
        while True:
            self._picture.capture_frame(grey)
            await asyncio.sleep(0.2)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
