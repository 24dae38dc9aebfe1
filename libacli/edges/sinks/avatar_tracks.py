"""What the avatar publishes, heard by the agent: only so it knows what of its own sound has arrived."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.audio import SAMPLE_RATE

SoundOf = Callable[[rtc.Track], AsyncGenerator[bytes]]
"""PCM of a track, in short pieces, until it ends."""

_PIECE_MS = 10
"""The shortest that the SDK gives: when sound begins is known that exactly."""


async def sound_of(track: rtc.Track) -> AsyncGenerator[bytes]:
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=_PIECE_MS)
    try:
        async for event in stream:
            yield bytes(event.frame.data)
    finally:
        await stream.aclose()


class AvatarTracks:
    """Takes the audio tracks of whom `is_avatar` says so; `on_pcm` gets all that comes, and from whom."""

    def __init__(
        self,
        room: rtc.Room,
        *,
        is_avatar: Callable[[str], bool],
        on_pcm: Callable[[bytes, str], None],
        log: ComplaintLog,
        sound_of: SoundOf = sound_of,
    ) -> None:
        self._room = room
        self._is_avatar = is_avatar
        self._on_pcm = on_pcm
        self._sound_of = sound_of
        self._tracks: asyncio.Queue[tuple[rtc.Track, str]] = asyncio.Queue()
        self._log = log
        self._heard: Counter[str] = Counter()
        """How many tracks of each are heard: one that is published anew comes before the old one ends."""

    def open(self) -> None:
        """From now on. The room must be connected."""
        self._room.on("track_published", self._on_published)
        self._room.on("track_subscribed", self._on_subscribed)

    def take(self, identity: str) -> None:
        """Takes what the participant has published already."""
        if participant := self._room.remote_participants.get(identity):
            for publication in participant.track_publications.values():
                self._on_published(publication, participant)

    def is_deaf_to(self, identity: str) -> bool:
        """Whether the participant has published sound, and none of it, not even silence, comes here."""
        if self._heard[identity] or not (participant := self._room.remote_participants.get(identity)):
            return False
        return any(one.kind == rtc.TrackKind.KIND_AUDIO for one in participant.track_publications.values())

    async def listen(self) -> None:
        """Hears them, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._hear(*await self._tracks.get()))

    async def _hear(self, track: rtc.Track, identity: str) -> None:
        with self._log.net(identity, "sound"):  # whoever is not heard is believed what he reports
            async with aclosing(self._sound_of(track)) as sound:
                self._heard[identity] += 1
                try:
                    async for pcm in sound:
                        self._on_pcm(pcm, identity)
                finally:
                    self._heard[identity] -= 1

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if self._is_avatar(participant.identity) and publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if publication.kind == rtc.TrackKind.KIND_AUDIO:
            self._tracks.put_nowait((track, participant.identity))
