"""Speech to an avatar over LiveKit's byte-stream protocol, every wait bounded, events of this room alone.

The protocol is that of livekit-agents' `DataStreamAudioOutput`: one byte stream per utterance on topic
`lk.audio_stream`, its close is the end of the utterance; the avatar reports `lk.playback_finished` by RPC and
takes `lk.clear_buffer`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from livekit import rtc

from libacli.core.audio import FRAME_MS, SAMPLE_RATE, is_audible
from libacli.edges.sinks.segment import Segment, played_s
from libacli.errors import SinkError
from libacli.speech.ports import Playback, Route

logger = logging.getLogger("liba.avatar")

AUDIO_TOPIC = "lk.audio_stream"
FINISHED_METHOD = "lk.playback_finished"
STARTED_METHOD = "lk.playback_started"
CLEAR_METHOD = "lk.clear_buffer"

_FRAME_S = FRAME_MS / 1000
_LEAD_S = 2.0
"""How much sound is sent ahead of its time: what is interrupted or lost is not more than this."""

_WRITE_TIMEOUT_S = 3.0
_CLEAR_TIMEOUT_S = 2.0
_FINISH_MARGIN_S = 3.0
_MISSES_ALLOWED = 2
_LIKELY_WAY = 0.8
"""What is heard sooner than in this part of the shortest time so far cannot be what was just sent."""


class AvatarSink:
    """A GatedSink to the avatar that is `present`; whoever manages the avatar says who that is, and when.

    `audible_timeout_s` is how long the avatar may take from sound sent to sound heard; longer is `stalled`.
    """

    def __init__(self, room: rtc.Room, *, audible_timeout_s: float = 5.0) -> None:
        self.trouble = asyncio.Event()
        """Set when the avatar left or does not do its part any more: it must be made anew."""

        self._room = room
        self._audible_timeout_s = audible_timeout_s
        self._absence = "not ready"
        self._identity = ""
        self._gate = asyncio.Event()
        self._gate_until = 0.0
        self._segment: Segment | None = None
        self._misses = 0
        self._is_cleared = False
        self._shortest_way_s = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tracks: asyncio.Queue[rtc.RemoteAudioTrack] = asyncio.Queue()

    def open(self) -> None:
        """Takes the avatar's reports from now on. The room must be connected."""
        self._room.local_participant.register_rpc_method(FINISHED_METHOD, self._on_finished)
        self._room.local_participant.register_rpc_method(STARTED_METHOD, self._on_started)
        self._room.on("participant_disconnected", self._on_left)
        self._room.on("track_published", self._on_published)
        self._room.on("track_subscribed", self._on_subscribed)

    def joining(self, *, timeout_s: float) -> None:
        """An avatar is on its way; utterances wait for it until `timeout_s` seconds from now."""
        self._absence = "not ready"
        self._gate.clear()
        self._gate_until = self._now() + timeout_s

    def present(self, identity: str) -> None:
        """The avatar is in the room and takes sound."""
        self._identity = identity
        self._absence = ""
        self._misses = 0
        self.trouble.clear()
        self._gate.set()
        if participant := self._room.remote_participants.get(identity):
            for publication in participant.track_publications.values():
                self._on_published(publication, participant)

    def absent(self, reason: str) -> None:
        """There is no avatar, and none is waited for; `reason` is what utterances are told."""
        self._absence = reason
        self._identity = ""
        self._gate.set()
        if self._segment:
            self._segment.lose(reason)

    @property
    def state(self) -> str:
        """`ready`, or why it is not."""
        return self._absence or "ready"

    async def idle(self) -> None:
        """Waits until no utterance is on its way."""
        await self._idle.wait()

    async def gate(self) -> str:
        if self._absence and not self._gate.is_set():
            try:
                async with asyncio.timeout_at(self._gate_until):
                    await self._gate.wait()
            except TimeoutError:
                self._gate.set()  # the next utterance does not wait again
        return self._absence

    async def start(self, on_audible: Callable[[], None]) -> Route:
        identity = self._identity
        if self._absence or not identity:
            raise SinkError(self._absence or "not ready")
        try:
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                writer = await self._room.local_participant.stream_bytes(
                    name=f"AUDIO_{uuid.uuid4().hex[:8]}",
                    topic=AUDIO_TOPIC,
                    destination_identities=[identity],
                    attributes={"sample_rate": str(SAMPLE_RATE), "num_channels": "1"},
                )
        except TimeoutError as error:
            raise self._stalled() from error
        except Exception as error:  # the SDK has no narrower one for streams
            raise SinkError("left") from error
        self._segment = Segment(writer, on_audible, follows_clear=self._is_cleared)
        self._is_cleared = False
        self._idle.clear()
        return Route("tavus", target=identity)

    async def write(self, frame: bytes) -> None:
        segment = self._current()
        self._raise_if_lost(segment)
        now = self._now()
        if segment.began_at is None:
            segment.began_at = now
        await self._keep_pace(segment, segment.began_at + segment.pushed_s - _LEAD_S - now)
        try:
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                await segment.writer.write(frame)
        except TimeoutError as error:
            raise self._stalled() from error
        except Exception as error:  # the SDK has no narrower one for streams
            raise SinkError("left") from error
        segment.pushed_s += _FRAME_S
        if segment.sounded_at is None and is_audible(frame):
            segment.sounded_at = self._now()

    async def finish(self) -> Playback:
        segment = self._current()
        self._raise_if_lost(segment)
        try:
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                await segment.writer.aclose()
        except TimeoutError as error:
            raise self._stalled() from error
        segment.is_closed = True
        try:
            return await self._outcome(segment)
        finally:
            self._release(segment)

    async def clear(self) -> None:
        segment, self._segment = self._segment, None
        self._idle.set()
        if segment is None:
            return
        self._is_cleared = True
        segment.lose("cleared")
        if self._identity not in self._room.remote_participants:
            return
        try:
            async with asyncio.timeout(_CLEAR_TIMEOUT_S):
                await self._room.local_participant.perform_rpc(
                    destination_identity=self._identity, method=CLEAR_METHOD, payload=""
                )
                if not segment.is_closed:
                    await segment.writer.aclose()
        except (TimeoutError, rtc.RpcError) as error:
            logger.warning("the avatar did not take `clear`: %s", error or "no answer")
            self._stalled()

    async def aclose(self) -> None:
        await self.clear()
        self.absent("closed")

    async def listen(self) -> None:
        """Hears what the avatar publishes, to know when its sound begins; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._hear(await self._tracks.get()))

    async def _hear(self, track: rtc.RemoteAudioTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                segment = self._segment
                if (
                    segment
                    and segment.sounded_at
                    and not segment.is_heard
                    and is_audible(bytes(event.frame.data))
                ):
                    self._heard(segment, self._now() - segment.sounded_at)
        finally:
            await stream.aclose()

    def _heard(self, segment: Segment, took_s: float) -> None:
        """Sound came, `took_s` seconds after this utterance's first; unless it is of one that was cleared."""
        if segment.follows_clear and took_s < _LIKELY_WAY * self._shortest_way_s:
            return
        if not segment.follows_clear:
            self._shortest_way_s = min(took_s, self._shortest_way_s or took_s)
        segment.is_heard = True
        segment.on_audible()

    async def _keep_pace(self, segment: Segment, ahead_s: float) -> None:
        """Waits while too much is on its way already; a loss ends the wait."""
        if ahead_s > 0:
            await asyncio.wait([segment.outcome], timeout=ahead_s)
        self._raise_if_lost(segment)

    async def _outcome(self, segment: Segment) -> Playback:
        began_at = segment.began_at or self._now()
        if segment.sounded_at is not None and not segment.is_heard:
            # Not heard at all is not the same as no report of the end: it was said to nobody.
            await asyncio.wait(
                [segment.outcome], timeout=segment.sounded_at + self._audible_timeout_s - self._now()
            )
            self._raise_if_lost(segment)
        await asyncio.wait(
            [segment.outcome], timeout=began_at + segment.pushed_s + _FINISH_MARGIN_S - self._now()
        )
        if segment.outcome.done():
            self._misses = 0
            return segment.outcome.result()
        self._misses += 1
        if self._misses >= _MISSES_ALLOWED:
            self._fail("no finish")
        return Playback("estimated")

    def _raise_if_lost(self, segment: Segment) -> None:
        if segment.outcome.done() and (error := segment.outcome.exception()):
            self._release(segment)
            raise error
        is_mute = segment.sounded_at is not None and not segment.is_heard
        if is_mute and self._now() - (segment.sounded_at or 0) > self._audible_timeout_s:
            raise self._stalled()

    def _stalled(self) -> SinkError:
        self._fail("stalled")
        return SinkError("stalled")

    def _fail(self, reason: str) -> None:
        """The avatar does not do its part: nothing more goes there until it has been made anew."""
        self.absent(reason)
        self.trouble.set()

    def _current(self) -> Segment:
        if self._segment is None:
            raise SinkError(self._absence or "not started")
        return self._segment

    def _release(self, segment: Segment) -> None:
        if self._segment is segment:
            self._segment = None
            self._idle.set()

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        segment = self._segment
        position_s = played_s(call.payload)
        if call.caller_identity != self._identity or position_s is None:
            logger.warning("a report of the end that is not the avatar's, or malformed, is passed over")
            return "reject"
        if segment is None or not segment.fits(position_s, self._now(), is_late_due=bool(self._misses)):
            logger.info("a report of the end at %.2f s fits no utterance and is passed over", position_s)
            return "ok"
        segment.outcome.set_result(Playback("reported"))
        return "ok"

    async def _on_started(self, call: rtc.RpcInvocationData) -> str:
        return "ok"  # what counts is what is heard on its track

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity:
            self._fail("left")

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity == self._identity and publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._tracks.put_nowait(track)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
