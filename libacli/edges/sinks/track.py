"""The agent's own audio track: where speech goes when no avatar takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from livekit import rtc

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE, first_audible_s
from libacli.errors import SinkError
from libacli.speech.ports import Playback, Route

logger = logging.getLogger("liba.track")

TRACK_NAME = "agent_speech"
_QUEUE_MS = 1000
_DRAIN_MARGIN_S = 1.0


class TrackSink:
    """A Sink that plays on an audio track of the room's local participant.

    What it plays is `observed`: the end is when the source has given its last sample to the encoder.
    """

    def __init__(self, room: rtc.Room, *, reason: str, is_spare: bool = False) -> None:
        """`is_spare`: there is an avatar, whose microphone is the one that pages show for the agent's."""
        self._room = room
        self._source_kind = rtc.TrackSource.SOURCE_UNKNOWN if is_spare else rtc.TrackSource.SOURCE_MICROPHONE
        self._route = Route("track", reason=reason, target=TRACK_NAME)
        self._source: rtc.AudioSource | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self._is_taken = asyncio.Event()
        room.on("local_track_subscribed", lambda *_: self._is_taken.set())
        room.on("local_track_republished", lambda *_: self._is_taken.clear())
        self._on_audible: Callable[[], None] | None = None
        self._audible_timer: asyncio.TimerHandle | None = None

    @property
    def sid(self) -> str:
        """The server's name of the track, a new one after a full reconnect; empty before `open`."""
        return self._publication.sid if self._publication else ""

    @property
    def is_taken(self) -> bool:
        """Whether somebody takes its sound, as far as is known."""
        return self._is_taken.is_set()

    async def open(self) -> None:
        """Publishes the track, so that it stands ready before the first word."""
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, self._source)
        # No packets in silence (DTX): a listener's jitter buffer runs empty, and what comes first is played
        # at once; packets of silence would keep it filled, which costs up to 10 ms.
        # LiveKit's hooks take an agent's own microphone before its avatar's; what has no source they play.
        options = rtc.TrackPublishOptions(source=self._source_kind, dtx=True)
        self._publication = await self._room.local_participant.publish_track(track, options)

    async def subscribed(self, *, within_s: float) -> None:
        """Waits until somebody takes its sound, `within_s` at most: what is played before nobody hears.

        After a full reconnect somebody has to take it anew.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._is_taken.wait()

    async def start(self, on_audible: Callable[[], None]) -> Route:
        self._on_audible = on_audible
        return self._route

    async def write(self, frames: bytes) -> None:
        source = self._opened()
        if self._on_audible and (offset_s := first_audible_s(frames)) is not None:
            delay_s = source.queued_duration + offset_s
            self._audible_timer = asyncio.get_running_loop().call_later(delay_s, self._on_audible)
            self._on_audible = None
        try:
            count = len(frames) // BYTES_PER_SAMPLE
            await source.capture_frame(rtc.AudioFrame(frames, SAMPLE_RATE, 1, count))
        except Exception as error:  # the SDK raises nothing narrower here
            raise SinkError("the audio track took no sound") from error

    async def finish(self) -> Playback:
        source = self._opened()
        try:
            async with asyncio.timeout(source.queued_duration + _DRAIN_MARGIN_S):
                await source.wait_for_playout()
        except TimeoutError:
            return Playback("estimated")
        return Playback("observed")

    async def clear(self) -> None:
        if self._audible_timer:
            self._audible_timer.cancel()
        self._on_audible = self._audible_timer = None
        if self._source:
            try:
                self._source.clear_queue()
            except Exception as error:  # the SDK raises nothing narrower here
                logger.warning("the audio track was not cleared: %s", error)

    async def aclose(self) -> None:
        await self.clear()
        if self._source:
            await self._source.aclose()
            self._source = None

    def _opened(self) -> rtc.AudioSource:
        if self._source is None:
            raise SinkError("the audio track is not open")
        return self._source
