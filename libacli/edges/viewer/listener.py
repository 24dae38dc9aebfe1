"""A participant that only listens: what a viewer would have heard, measured."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from pydantic import SecretStr

from libacli.complaint_log import ComplaintLog
from libacli.core.audio import SAMPLE_RATE, duration_s, first_audible_s, is_audible, level_dbfs, samples
from libacli.core.messages import parse_object
from libacli.core.protocol import EVENTS_TOPIC
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.encryption import EncryptionWatch
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.participants import epoch_of_agent, is_agent
from libacli.errors import RefusedError

logger = logging.getLogger("liba.viewer")

_FRAME_MS = 10
"""What WebRTC gives at a time: no sound waits for more of it."""

_LEVELS_KEPT = 120 * 1000 // _FRAME_MS
"""Two minutes of one track."""

_STATS_TIMEOUT_S = 1.0
"""They come within some ms; a measurement does not wait for them for ever."""

_BUFFER_RATE = 48_000
"""Samples a second in a receiver's buffer: that of Opus, whatever was spoken at (RFC 7587, 4.1)."""


@dataclass
class AudioCapture:
    """Sound that was received since the capture began, across all tracks of agents and avatars."""

    pcm: bytearray = field(default_factory=bytearray)
    """24 kHz mono s16le, from the first frame that could be heard to the last one."""

    first_audible_at: float | None = None
    """When the first sample that can be heard arrived, on the loop's clock."""

    last_audible_at: float | None = None
    gaps_s: list[float] = field(default_factory=list)
    """Silences between sounds, in seconds, those below 50 ms left out."""

    levels: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_LEVELS_KEPT))
    """For each frame of any track the moment of its middle, on the loop's clock, and how loud it is: mean of
    the samples' absolute values. The newest ones."""

    _source: str = ""
    """Which track sounded last: the silence of another one, which stands ready beside it, is no gap."""

    _sound: bytearray = field(default_factory=bytearray)
    _pending: bytearray = field(default_factory=bytearray)

    @property
    def speech_s(self) -> float:
        """Seconds in which there was sound."""
        return duration_s(len(self._sound))

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last sound, as they played: late frames do not change it."""
        return duration_s(len(self.pcm))

    @property
    def level_dbfs(self) -> float:
        """Level of what sounded."""
        return level_dbfs(bytes(self._sound))

    def add(self, pcm: bytes, arrived_at: float, source: str = "") -> None:
        """One more frame of the track `source`; `arrived_at` is when its last sample was there."""
        values = samples(pcm)
        level = sum(map(abs, values)) / max(1, len(values))
        self.levels.append((arrived_at - duration_s(len(pcm)) / 2, level))
        if not is_audible(pcm):
            if self.first_audible_at is not None and source == self._source:
                self._pending += pcm
            return
        self._source = source
        started_at = arrived_at - duration_s(len(pcm)) + (first_audible_s(pcm) or 0.0)
        if self.first_audible_at is None:
            self.first_audible_at = started_at
        elif (gap := duration_s(len(self._pending))) >= 0.05:
            self.gaps_s.append(gap)
        self.pcm += self._pending + pcm
        self._pending.clear()
        self._sound += pcm
        self.last_audible_at = arrived_at


class Listener:
    """Subscribes to every agent's sound in a room, and to the events of the liba agent of that name.

    `agent_name` None: of any name.
    """

    def __init__(self, room: rtc.Room, *, agent_name: str | None) -> None:
        self.room = room
        self._agent_name = agent_name
        self._log = ComplaintLog(logger)
        self.capture = AudioCapture()
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(10_000)
        """Events of the agent, as they come; nobody else's, and none of another epoch."""

        self.subscribed = asyncio.Event()
        """Set once the sound of a track arrives here."""

        self._tracks: asyncio.Queue[rtc.RemoteAudioTrack] = asyncio.Queue()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._heard: dict[str, rtc.RemoteAudioTrack] = {}
        room.on("track_subscribed", self._on_track)
        room.on("track_unsubscribed", self._on_track_gone)
        room.on("data_received", self._on_data)

    def start_capture(self) -> AudioCapture:
        """Forgets what was heard so far and begins anew."""
        self.capture = AudioCapture()
        return self.capture

    async def wait_for(self, utterance_id: str, *states: str) -> dict[str, Any]:
        """The next event of that utterance with one of `states`; the bound is the caller's."""
        while True:
            event = await self.events.get()
            if event.get("id") == utterance_id and event.get("state") in states:
                return event

    async def caught_up_s(self) -> float:
        """By how much this receiver has shortened the tracks that are there now.

        One whose machine was busy has sound waiting, and leaves parts of it out until it is in time again:
        `removedSamplesForAcceleration` of WebRTC's statistics. A track that does not tell counts as 0.
        """
        removed = [await _removed_samples(track) for track in [*self._heard.values()]]
        return sum(removed) / _BUFFER_RATE

    async def run(self) -> None:
        """Listens until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                track = await self._tracks.get()
                self._heard[track.sid] = track
                self._reading[track.sid] = tasks.create_task(self._read_sound(track))

    async def _read_sound(self, track: rtc.RemoteAudioTrack) -> None:
        clock = asyncio.get_running_loop().time
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=_FRAME_MS)
        try:
            async for event in stream:
                self.subscribed.set()
                self.capture.add(bytes(event.frame.data), clock(), track.sid)
        finally:
            await stream.aclose()

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack) and is_agent(participant):
            self._tracks.put_nowait(track)

    def _on_track_gone(self, track: rtc.Track, *_: object) -> None:
        # Left open, its stream would go on with the sound of the next track that takes its place.
        self._heard.pop(track.sid, None)
        if reading := self._reading.pop(track.sid, None):
            reading.cancel()

    def _on_data(self, packet: rtc.DataPacket) -> None:
        with self._log.net("", "event"), suppress(RefusedError, UnicodeDecodeError):
            # Who may publish data can send on that topic, and so can every avatar.
            is_event = packet.topic == EVENTS_TOPIC and not self.events.full()
            if not is_event or not (epoch := epoch_of_agent(packet.participant, self._agent_name)):
                return
            event = parse_object(packet.data.decode())
            if event.get("epoch") == epoch:
                self.events.put_nowait(event)


async def _removed_samples(track: rtc.RemoteAudioTrack) -> int:
    try:
        async with asyncio.timeout(_STATS_TIMEOUT_S):
            told = await track.get_stats()
    except Exception as error:  # the SDK raises nothing narrower for a track that is just going
        logger.debug("no statistics of track %s", track.sid, exc_info=error)
        return 0
    return sum(
        stats.inbound_rtp.inbound.removed_samples_for_acceleration
        for stats in told
        if stats.WhichOneof("stats") == "inbound_rtp"
    )


@asynccontextmanager
async def listening(
    url: str, token: str, *, agent_name: str | None = None, e2ee_key: SecretStr | None = None
) -> AsyncIterator[Listener]:
    """A listener in the token's room. Raises UnreachableError or CredentialsError, and what breaks it."""
    room = rtc.Room()
    encryption = EncryptionWatch(room, has_key=e2ee_key is not None)
    listener = Listener(room, agent_name=agent_name)
    async with joined(room, url, token, e2ee_key=e2ee_key), in_background(listener.run()):
        try:
            yield listener
        finally:
            await encryption.look()
