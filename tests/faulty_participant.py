"""An avatar that plays what it receives, and does what a script says. What it has of Tavus's is its own."""

from __future__ import annotations

import asyncio
import json
import math
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from livekit import rtc

from libacli.core.audio import SAMPLE_RATE, FrameSlicer, duration_s, silence
from libacli.local.avatar_presence import Invitation

if TYPE_CHECKING:
    from tests.faulty_avatar import Script

GREETING_HZ = 300
"""The tone of what it says unasked."""

_SIZE = 64
_AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


async def left_alone(room: rtc.Room, invitation: Invitation) -> str:
    """Waits until Tavus's avatar would leave: people have, none came, or the room was closed; says which."""
    loop = asyncio.get_running_loop()
    changed, closed = asyncio.Event(), asyncio.Event()
    room.on("participant_connected", lambda _: changed.set())
    room.on("participant_disconnected", lambda _: changed.set())
    room.on("disconnected", lambda _: closed.set())
    room.on("disconnected", lambda _: changed.set())
    leaves_at, reason = loop.time() + invitation.absent_timeout_s, "participant_absent_timeout reached"
    while not closed.is_set():
        changed.clear()
        if any(one.kind != _AGENT for one in room.remote_participants.values()):
            await changed.wait()
            leaves_at, reason = loop.time() + invitation.left_timeout_s, "participant_left_timeout reached"
            continue
        try:
            async with asyncio.timeout_at(leaves_at):
                await changed.wait()
        except TimeoutError:
            return reason
    return "room_closed"


class Participant:
    """Plays what it receives on a plain track."""

    def __init__(
        self,
        room: rtc.Room,
        script: Script,
        count: Callable[[], None],
        note_end: Callable[[float], None],
        again: asyncio.Event | None = None,
    ) -> None:
        """`again` is set when it is to come once more."""
        self.gone = asyncio.Event()
        """Set when it leaves the room of its own accord."""

        self._room = room
        self._script = script
        self._count = count
        self._note_end = note_end
        self._received = 0
        self._again = again or asyncio.Event()
        self._befell = asyncio.Event()
        self._lines = 0
        self._is_frozen = False
        self._agent = ""
        """The first one that it met."""

        self._streams: asyncio.Queue[tuple[rtc.ByteStreamReader, str]] = asyncio.Queue()
        self._cleared = asyncio.Event()
        self._unplayed_s = 0.0
        """How much was queued when it was told to clear that."""

        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=60_000)
        self._picture = rtc.VideoSource(_SIZE, _SIZE)

    async def run(self) -> None:
        me = self._room.local_participant
        for participant in self._room.remote_participants.values():
            self._meet(participant)
        self._room.on("participant_connected", self._meet)
        if self._script.takes_streams:
            self._room.register_byte_stream_handler("lk.audio_stream", self._on_stream)
        if self._script.hears_clear:
            me.register_rpc_method("lk.clear_buffer", self._on_clear)
        if self._script.leaves_after_s is not None:
            asyncio.get_running_loop().call_later(self._script.leaves_after_s, self.gone.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._script.has_sound:
                    await self._sound()
                if self._script.has_second_track:
                    tasks.create_task(self._be_silent())
                if self._script.mishap:
                    tasks.create_task(self._have_mishap())
                if self._script.has_video:
                    tasks.create_task(self._show())
                if self._script.greets_s:
                    await self._source.capture_frame(_frame(_hum(self._script.greets_s)))
                while True:
                    stream, sender = await self._streams.get()
                    self._cleared = asyncio.Event()
                    pushed_s = await self._play(stream)
                    tasks.create_task(self._finish(sender, pushed_s, self._cleared))
        finally:
            self.gone.set()  # what waits in a call that is never answered waits no longer
            await self._source.aclose()
            await self._picture.aclose()

    async def _sound(self) -> None:
        self._track = rtc.LocalAudioTrack.create_audio_track("sound", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._publication = await self._room.local_participant.publish_track(self._track, options)

    async def _be_silent(self) -> None:
        source = rtc.AudioSource(SAMPLE_RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("nothing", source)
        await self._room.local_participant.publish_track(track, rtc.TrackPublishOptions())
        try:
            while True:
                await source.capture_frame(_frame(silence(20)))
        finally:
            await source.aclose()

    async def _have_mishap(self) -> None:
        await self._befell.wait()
        mishap, pause_s = self._script.mishap, self._script.mishap_s
        if mishap in ("leaves", "comes twice"):
            self._again.set()
        if mishap == "leaves":
            self.gone.set()
        elif mishap == "mutes":
            self._track.mute()
            await asyncio.sleep(pause_s)
            self._track.unmute()
        elif mishap in ("unpublishes", "publishes anew"):
            await self._room.local_participant.unpublish_track(self._publication.sid)
            if mishap == "unpublishes":
                await asyncio.sleep(pause_s)
            await self._sound()

    def _meet(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == _AGENT:
            self._agent = self._agent or participant.identity

    def _on_stream(self, stream: rtc.ByteStreamReader, sender: str) -> None:
        if self._script.binds_to_first_agent and sender != self._agent:
            stream.close()
        else:
            self._streams.put_nowait((stream, sender))

    async def _play(self, stream: rtc.ByteStreamReader) -> float:
        """Queues all that the stream brings, until its end or `lk.clear_buffer`; its seconds."""
        pushed_s = 0.0
        slicer = FrameSlicer()
        with suppress(rtc.StreamError):
            async for chunk in stream:
                for frame in slicer.push(chunk):
                    self._receive()
                    if not self._cleared.is_set() and not self._is_frozen:
                        await self._source.capture_frame(_frame(frame))
                        pushed_s += duration_s(len(frame))
        return pushed_s

    def _receive(self) -> None:
        self._count()
        self._received += 1
        if self._received == self._script.leaves_after_frames:
            self.gone.set()
        if self._received == self._script.mishap_after_frames:
            self._befell.set()
        if self._received == self._script.freezes_after_frames:
            self._freeze()

    def _freeze(self) -> None:
        self._is_frozen = True
        self._source.clear_queue()

    async def _finish(self, sender: str, pushed_s: float, cleared: asyncio.Event) -> None:
        """Reports the end as the script says."""
        ends_at = self._now() + self._source.queued_duration
        self._note_end(ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at + self._script.report_shift_s):
                await cleared.wait()
        if self._is_frozen:
            return
        unplayed_s = self._unplayed_s if cleared.is_set() else 0.0
        payload = self._told(pushed_s - unplayed_s, is_interrupted=cleared.is_set())
        for _ in range({"never": 0, "twice": 2}.get(self._script.report, 1)):
            with suppress(rtc.RpcError):
                await self._room.local_participant.perform_rpc(
                    destination_identity=sender, method="lk.playback_finished", payload=payload
                )
        self._lines += 1
        if self._lines == self._script.leaves_after_lines:
            self.gone.set()
        if self._lines == self._script.freezes_after_lines:
            self._freeze()

    def _told(self, position_s: float, *, is_interrupted: bool) -> str:
        if self._script.report == "malformed":
            return "not json"
        position_s = 0.0 if self._script.reports_zero else position_s + self._script.report_padding_s
        is_interrupted = is_interrupted or self._script.reports_interrupted
        return json.dumps({"playback_position": position_s, "interrupted": is_interrupted})

    async def _on_clear(self, _: rtc.RpcInvocationData) -> str:
        if self._is_frozen:
            await self.gone.wait()
        self._unplayed_s = self._source.queued_duration
        self._cleared.set()
        self._source.clear_queue()
        if not self._script.answers_clear:
            await self.gone.wait()
        return "ok"

    async def _show(self) -> None:
        track = rtc.LocalVideoTrack.create_video_track("picture", self._picture)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        await self._room.local_participant.publish_track(track, options)
        grey = rtc.VideoFrame(_SIZE, _SIZE, rtc.VideoBufferType.I420, b"\x80" * (_SIZE * _SIZE * 3 // 2))
        while not self._is_frozen:
            self._picture.capture_frame(grey)
            await asyncio.sleep(0.2)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _frame(pcm: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm, SAMPLE_RATE, 1, len(pcm) // 2)


def _hum(seconds: float) -> bytes:
    step = math.tau * GREETING_HZ / SAMPLE_RATE
    values = (round(8000 * math.sin(step * i)) for i in range(round(SAMPLE_RATE * seconds)))
    return array("h", values).tobytes()
