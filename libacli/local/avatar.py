"""One avatar in one room: takes the agent's sound, gives back the same sound and a face that speaks it.

The protocol is that of `livekit.agents.voice.avatar`: one byte stream per utterance on topic
`lk.audio_stream`, whose close is the end of the utterance; RPC `lk.clear_buffer` interrupts; the avatar calls
`lk.playback_started` when an utterance begins to sound and `lk.playback_finished` when it has sounded.
Handlers belong to the room; those of livekit-agents belong to the class, and two rooms in one process
would take each other's events.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import deque
from contextlib import aclosing
from typing import Protocol

from livekit import rtc
from pydantic import SecretStr

from libacli.complaint_log import ComplaintLog
from libacli.core.audio import SAMPLE_RATE, FrameSlicer
from libacli.core.emotion import Emotion
from libacli.core.jitter_target import JitterTarget
from libacli.core.mouth import MouthShape
from libacli.edges.avatars.vendors import TAVUS_TOPIC
from libacli.edges.livekit.joining import joined
from libacli.edges.sinks.avatar import AUDIO_TOPIC, CLEAR_METHOD, FINISHED_METHOD, STARTED_METHOD
from libacli.local.avatar_emotion import read_emotion
from libacli.local.avatar_presence import Invitation, Presence
from libacli.local.avatar_sound import Playout
from libacli.local.coming_sound import ComingSound

logger = logging.getLogger("liba.avatar.local")

_SOUND_LATER_S = 0.02
"""How much longer sound is on its way than a picture: its packets are longer, and a jitter buffer waits."""

_STREAMS_LIMIT = 8
"""Of utterances that wait: an agent opens one when the one before is over, or cleared."""

_KNOWN_STREAMS = 64
"""Ids of the latest streams: whoever connects anew may send again what the server has passed on already."""

_IDLE_STREAM_S = 10.0
_LOST_TRAILER_S = 0.5
_REPORT_TIMEOUT_S = 5.0
_UNWATCHED_EVERY = 12  # pictures; one that comes later, or is hidden, finds a recent one
_VIDEO_BITRATE = 1_500_000


class Face(Protocol):
    """What draws the picture."""

    size: int
    """Width and height in pixels."""

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> bytes | bytearray | memoryview:
        """The picture at `at_s` seconds, I420."""

    def express(self, emotion: Emotion) -> Face:
        """The same face with an emotion; may take a while, and is called in a thread."""


async def attend(
    invitation: Invitation, face: Face, *, fps: float = 25.0, e2ee_key: SecretStr | None = None
) -> str:
    """Joins, speaks what the agent sends, and returns why it left again.

    See `Presence.over`. Raises UnreachableError or CredentialsError; leaves the room when it is cancelled.
    """
    room = rtc.Room()
    presence = Presence(room)
    async with joined(room, invitation.url, invitation.token, auto_subscribe=False, e2ee_key=e2ee_key):
        avatar = _Avatar(room, presence, face, fps)
        try:
            async with asyncio.TaskGroup() as tasks:
                performing = tasks.create_task(avatar.run())
                reason = await presence.over(invitation)
                performing.cancel()
        finally:
            await avatar.aclose()
    return reason


class _Avatar:
    """What the avatar does while it is in the room."""

    def __init__(self, room: rtc.Room, presence: Presence, face: Face, fps: float) -> None:
        self._room = room
        self._presence = presence
        self._face = face
        self._fps = fps
        self._playout = Playout()
        self._jitter = JitterTarget()
        self._picture = rtc.VideoSource(face.size, face.size)
        self._streams: asyncio.Queue[rtc.ByteStreamReader] = asyncio.Queue(_STREAMS_LIMIT)
        self._known_streams: deque[str] = deque(maxlen=_KNOWN_STREAMS)
        self._log = ComplaintLog(logger)
        self._reports: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._emotions: asyncio.Queue[Emotion] = asyncio.Queue()
        self._utterance: asyncio.Task[None] | None = None
        self._is_interrupted = False

    async def run(self) -> None:
        """Publishes, then performs until cancelled."""
        self._room.register_byte_stream_handler(AUDIO_TOPIC, self._on_stream)
        self._room.local_participant.register_rpc_method(CLEAR_METHOD, self._on_clear)
        self._room.on("data_received", self._on_packet)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._playout.run())
            await self._publish()
            tasks.create_task(self._show())
            tasks.create_task(self._report())
            tasks.create_task(self._express())
            while True:
                stream = await self._streams.get()
                self._is_interrupted = False
                self._utterance = tasks.create_task(self._speak(stream))
                await asyncio.wait([self._utterance])

    async def aclose(self) -> None:
        await self._playout.aclose()
        await self._picture.aclose()

    async def _publish(self) -> None:
        """Before the first word, so that whoever is there is subscribed when it comes."""
        me = self._room.local_participant
        await me.publish_track(
            self._playout.track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        )
        picture = rtc.LocalVideoTrack.create_video_track("avatar_video", self._picture)
        await me.publish_track(
            picture,
            rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                video_codec=rtc.VideoCodec.VP8,
                video_encoding=rtc.VideoEncoding(max_bitrate=_VIDEO_BITRATE, max_framerate=self._fps),
            ),
        )

    async def _speak(self, stream: rtc.ByteStreamReader) -> None:
        """Plays one utterance, and reports its end when it has sounded or was interrupted."""
        self._playout.begin()
        coming = ComingSound(lambda: self._next_chunk(stream), self._jitter)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(coming.read())
                await self._play(coming)
            await self._playout.sounded()
            self._report_finished(self._playout.position_s, interrupted=False)
        except asyncio.CancelledError:
            if not self._is_interrupted:
                raise
            self._report_finished(self._playout.position_s, interrupted=True)
            await self._playout.clear()
        finally:
            stream.close()
            self._playout.end()

    async def _play(self, coming: ComingSound) -> None:
        slicer = FrameSlicer()
        async with aclosing(coming.chunks()) as chunks:
            async for chunk in chunks:
                is_first = self._playout.given_s == 0
                await self._playout.play(list(slicer.push(chunk)))
                if is_first and self._playout.given_s:
                    self._reports.put_nowait((STARTED_METHOD, ""))
        await self._playout.play(list(slicer.flush()))

    async def _next_chunk(self, stream: rtc.ByteStreamReader) -> bytes:
        """The next piece of PCM; b"" at the end, which is also assumed when its announcement was lost."""
        waited_s = 0.0
        while waited_s < _IDLE_STREAM_S and not (waited_s and self._streams.qsize()):
            try:
                async with asyncio.timeout(_LOST_TRAILER_S):
                    return await anext(stream)
            except TimeoutError:
                waited_s += _LOST_TRAILER_S
            except StopAsyncIteration:
                return b""
            except rtc.StreamError as error:
                logger.warning("the agent's sound broke off: %s", error.description)
                return b""
        logger.warning("the end of the agent's sound was lost")
        return b""

    async def _show(self) -> None:
        """Draws and sends pictures: each shows the mouth of what sounds just then."""
        loop = asyncio.get_running_loop()
        began_at = due_at = loop.time()
        size = self._face.size
        for number in itertools.count():
            now = loop.time()
            is_speaking = self._playout.is_speaking
            if is_speaking or self._presence.is_watched or number % _UNWATCHED_EVERY == 0:
                mouth = self._playout.mouth(now - _SOUND_LATER_S)
                picture = self._face.render(now - began_at, mouth, speaking=is_speaking)
                self._picture.capture_frame(rtc.VideoFrame(size, size, rtc.VideoBufferType.I420, picture))
            due_at = max(due_at + 1 / self._fps, now)
            await asyncio.sleep(due_at - loop.time())

    async def _express(self) -> None:
        """Shows what the agent asks for, until it asks for something else."""
        face = self._face
        while True:
            emotion = await self._emotions.get()
            if self._emotions.empty():  # else that one is out of date
                self._face = await asyncio.to_thread(face.express, emotion)

    async def _report(self) -> None:
        """Calls the agent, in order, each once: one that came twice would count for the next utterance."""
        while True:
            method, payload = await self._reports.get()
            if not (agent := self._presence.agent):
                continue  # it has left, and whoever watches has not
            try:
                async with asyncio.timeout(_REPORT_TIMEOUT_S):
                    await self._room.local_participant.perform_rpc(
                        destination_identity=agent, method=method, payload=payload
                    )
            except TimeoutError:
                logger.warning("the agent did not answer %s", method)
            except rtc.RpcError as error:
                if error.code != rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD or method != STARTED_METHOD:
                    logger.warning("the agent did not take %s: %s", method, error.message)

    def _report_finished(self, position_s: float, *, interrupted: bool) -> None:
        payload = {"playback_position": round(position_s, 3), "interrupted": interrupted}
        self._reports.put_nowait((FINISHED_METHOD, json.dumps(payload)))

    def _on_packet(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity if packet.participant else ""
        if packet.topic != TAVUS_TOPIC or not sender or sender != self._presence.agent:
            return
        if emotion := read_emotion(packet.data):
            self._emotions.put_nowait(emotion)

    def _on_stream(self, stream: rtc.ByteStreamReader, identity: str) -> None:
        attributes = stream.info.attributes or {}
        form = attributes.get("sample_rate"), attributes.get("num_channels")
        is_fit = identity == self._presence.agent and form == (str(SAMPLE_RATE), "1")
        is_new = stream.info.stream_id not in self._known_streams
        if is_fit and is_new and not self._streams.full():
            self._known_streams.append(stream.info.stream_id)
            self._streams.put_nowait(stream)
        else:
            stream.close()
            self._log.tell(
                identity, "sound", "passed over: not the agent's, of another form, again, or too much"
            )

    async def _on_clear(self, call: rtc.RpcInvocationData) -> str:
        if call.caller_identity != self._presence.agent:
            return "reject"
        waiting = [self._streams.get_nowait() for _ in range(self._streams.qsize())]
        if self._utterance and not self._utterance.done() and not self._is_interrupted:
            self._is_interrupted = True
            self._utterance.cancel()
            await asyncio.wait([self._utterance])
        for stream in waiting:
            stream.close()
            self._report_finished(0.0, interrupted=True)
        return "ok"
