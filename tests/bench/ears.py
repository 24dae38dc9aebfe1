"""How the first-audio bench hears: whose sound, when it began, when it was over, where it was silent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from livekit import rtc

from libacli.core.audio import AUDIBLE_PEAK, SAMPLE_RATE, duration_s, samples
from libacli.edges.viewer.listener import AudioCapture, Listener


@dataclass
class Hearing(AudioCapture):
    """A capture that tells when sound began, and when it has been quiet for `quiet_s` since."""

    quiet_s: float = 0.1
    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, pcm: bytes, arrived_at: float, source: str = "") -> None:
        super().add(pcm, arrived_at, source)
        if self.first_audible_at is not None:
            self.began.set()
            if duration_s(len(self._pending)) >= self.quiet_s:
                self.ended.set()

    def silences_ms(self) -> list[float]:
        """Each run of samples that cannot be heard between the first and the last that can."""
        marks = bytes(-AUDIBLE_PEAK < sample < AUDIBLE_PEAK for sample in samples(bytes(self.pcm)))
        runs = re.findall(rb"\x01+", marks.strip(b"\x01"))
        return [len(run) / SAMPLE_RATE * 1000 for run in runs]

    def longest_silence_ms(self) -> float:
        return max(self.silences_ms(), default=0.0)


class Ear(Listener):
    """Hears those agents only that `counts` is true of."""

    def __init__(self, room: rtc.Room, counts: Callable[[str], bool]) -> None:
        super().__init__(room, agent_name=None)
        self._counts = counts

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if self._counts(participant.identity):
            super()._on_track(track, publication, participant)
