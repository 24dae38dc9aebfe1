"""A Tavus whose avatar stops in the middle of a line, though it stays: the service, and who takes part.

It shares no code with the other stand-ins. Its track is never without sound or silence. What it is sent it
holds while it is frozen, and goes on with that when it thaws, unless it was told to drop it. Paths, fields
and errors: https://docs.tavus.io/api-reference
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from livekit import rtc

from libacli.edges.livekit.joining import joined
from libacli.errors import LibaError

_RATE = 24_000
_FRAME = _RATE // 50 * 2
_FRAME_S = 0.02
_SILENCE = bytes(_FRAME)
_GREY = rtc.VideoFrame(16, 16, rtc.VideoBufferType.I420, b"\x80" * 384)


@dataclass(frozen=True)
class Manner:
    """What the avatar of one conversation does to one of its lines. The others it speaks as it should."""

    line: int = 0
    """Which one, counted from 1; 0: none."""

    freezes_at_s: float | None = None
    """So much of it is shown, and nothing from then on; not even later lines, if it does not thaw."""

    thaws_after_s: float | None = None
    swallows_from_s: float = math.inf
    """From there on it is not shown, though it says that it was."""

    says_it_finished: bool = False
    """It reports also what it did not show because it was frozen."""


@dataclass
class _Line:
    number: int
    sender: str
    frames: deque[bytes] = field(default_factory=deque)
    is_all_there: bool = False
    shown_s: float = 0.0


@dataclass
class _Conversation:
    """It runs, and costs, until it is asked to end: whoever is in its room, and whether its avatar is."""

    id: str
    name: str
    created_at: str
    ended_at: str = ""
    ends: int = 0
    """How often it was asked to end."""

    def told(self) -> dict[str, Any]:
        """https://docs.tavus.io/api-reference/conversations/get-conversation, and `ends`."""
        return {
            "conversation_id": self.id,
            "conversation_name": self.name,
            "status": "ended" if self.ended_at else "active",
            "created_at": self.created_at,
            "updated_at": self.ended_at or self.created_at,
            "ends": self.ends,
        }


class FreezingAvatar:
    """`manners` are those of the conversations, in order; what follows has none."""

    def __init__(self, *manners: Manner, address: str = "127.0.0.1", port: int = 0) -> None:
        self.api_key = "key-of-the-freezing-avatar"
        self.base_url = ""
        self.creates = 0
        self.frozen_at: float | None = None
        """When it froze last, on the loop's clock."""

        self._place = (address, port)
        self._manners = deque(manners)
        self._attending: dict[str, asyncio.Task[None]] = {}
        self._conversations: dict[str, _Conversation] = {}

    @property
    def active(self) -> list[str]:
        """Conversations that nobody has ended."""
        return [one.id for one in self._conversations.values() if not one.ended_at]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FreezingAvatar]:
        async with asyncio.TaskGroup() as tasks:

            async def create(request: web.Request) -> web.Response:
                asked = await request.json()
                self.creates += 1
                manner = self._manners.popleft() if self._manners else Manner()
                begun = _Conversation(f"c{self.creates}", asked.get("conversation_name", ""), _now())
                self._conversations[begun.id] = begun
                attending = self._attend(asked["properties"], manner)
                self._attending[begun.id] = tasks.create_task(attending)
                return web.json_response(begun.told())

            async def end(request: web.Request) -> web.Response:
                ended = self._conversations[request.match_info["id"]]
                ended.ends += 1
                ended.ended_at = ended.ended_at or _now()
                self._attending[ended.id].cancel()
                return web.json_response({})

            async def pal(request: web.Request) -> web.Response:
                layers = {"transport": {"transport_type": "livekit"}}
                return web.json_response(
                    {"pal_id": request.match_info["id"], "pipeline_mode": "echo", "layers": layers}
                )

            async def found(request: web.Request) -> web.Response:
                status = request.query.get("status", "")
                told = [one.told() for one in self._conversations.values()]
                data = [one for one in told if status in ("", one["status"])]
                return web.json_response({"data": data, "total_count": len(data)})

            app = web.Application()
            app.router.add_post("/v2/conversations", create)
            app.router.add_post("/v2/conversations/{id}/end", end)
            app.router.add_get("/v2/conversations", found)
            app.router.add_get("/v2/pals/{id}", pal)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, *self._place).start()
                self.base_url = f"http://{self._place[0]}:{runner.addresses[0][1]}"
                yield self
            finally:
                for task in self._attending.values():
                    task.cancel()
                await runner.cleanup()

    async def _attend(self, properties: dict[str, Any], manner: Manner) -> None:
        url, token = properties["livekit_ws_url"], properties["livekit_room_token"]
        with suppress(LibaError):  # a room that cannot be joined has no avatar; who pays, pays all the same
            async with joined(rtc.Room(), url, token, auto_subscribe=False) as room:
                participant = _Participant(room, manner, self)
                try:
                    await participant.run()
                finally:
                    await participant.aclose()


class _Participant:
    def __init__(self, room: rtc.Room, manner: Manner, avatar: FreezingAvatar) -> None:
        self._room = room
        self._manner = manner
        self._avatar = avatar
        self._lines: deque[_Line] = deque()
        self._streams: asyncio.Queue[tuple[rtc.ByteStreamReader, str]] = asyncio.Queue()
        self._thawed_at = 0.0
        self._source = rtc.AudioSource(_RATE, 1, queue_size_ms=40)
        self._picture = rtc.VideoSource(16, 16)

    async def run(self) -> None:
        me = self._room.local_participant
        self._room.register_byte_stream_handler(
            "lk.audio_stream", lambda stream, sender: self._streams.put_nowait((stream, sender))
        )
        me.register_rpc_method("lk.clear_buffer", self._on_clear)
        sound = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        await me.publish_track(sound, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        picture = rtc.LocalVideoTrack.create_video_track("face", self._picture)
        await me.publish_track(picture, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._show_face())
            while True:
                frame, finished = self._next_frame()
                await self._source.capture_frame(rtc.AudioFrame(frame, _RATE, 1, _FRAME // 2))
                if finished:
                    tasks.create_task(self._report(finished))

    async def aclose(self) -> None:
        await self._source.aclose()
        await self._picture.aclose()

    async def _receive(self) -> None:
        number = 0
        while True:
            stream, sender = await self._streams.get()
            number += 1
            line = _Line(number, sender)
            self._lines.append(line)
            rest = b""
            with suppress(rtc.StreamError):
                async for chunk in stream:
                    rest += chunk
                    while len(rest) >= _FRAME:
                        line.frames.append(rest[:_FRAME])
                        rest = rest[_FRAME:]
            line.is_all_there = True

    def _next_frame(self) -> tuple[bytes, _Line | None]:
        """What is to be heard next, and the line that is over then."""
        while self._lines and self._lines[0].is_all_there and not self._lines[0].frames:
            return _SILENCE, self._lines.popleft()
        if not self._lines or not self._lines[0].frames:
            return _SILENCE, None
        line, manner = self._lines[0], self._manner
        if self._is_frozen(line):
            if manner.says_it_finished:
                line.frames.popleft()
            return _SILENCE, None
        frame = line.frames.popleft()
        line.shown_s += _FRAME_S
        if line.number == manner.line and line.shown_s > manner.swallows_from_s:
            return _SILENCE, None
        return frame, None

    def _is_frozen(self, line: _Line) -> bool:
        manner, now = self._manner, asyncio.get_running_loop().time()
        if manner.freezes_at_s is None or not 0 < manner.line <= line.number:
            return False
        if line.shown_s < manner.freezes_at_s - _FRAME_S / 2 and not self._thawed_at:
            return False
        if not self._thawed_at:
            self._avatar.frozen_at = now
            self._thawed_at = now + (math.inf if manner.thaws_after_s is None else manner.thaws_after_s)
        return now < self._thawed_at

    async def _report(self, line: _Line) -> None:
        await asyncio.sleep(0.04)
        with suppress(rtc.RpcError):
            await self._room.local_participant.perform_rpc(
                destination_identity=line.sender,
                method="lk.playback_finished",
                payload=json.dumps({"playback_position": line.shown_s, "interrupted": False}),
            )

    async def _on_clear(self, _: rtc.RpcInvocationData) -> str:
        self._lines.clear()
        return "ok"

    async def _show_face(self) -> None:
        while True:
            self._picture.capture_frame(_GREY)
            await asyncio.sleep(0.2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
