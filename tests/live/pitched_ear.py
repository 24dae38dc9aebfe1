"""Who listens to a room in which each line is a tone of its own: which line was heard from whom, and when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import SAMPLE_RATE
from libacli.edges.livekit.joining import joined
from libacli.edges.sinks.avatar_tracks import sound_of
from tests.live.avatar_peers import token

PIECE_S = 0.01
_LOUD = 500
_RUN = 4
"""So many pieces in a row are sound; fewer are none: where sound begins, ends, or a receiver had nothing to
play, any tone may be in a piece."""

_NEAR_HERTZ = 60.0


@dataclass
class PitchedEar:
    """`heard` has, for each tone and each participant, when a frame of it was heard."""

    tones: Sequence[int]
    heard: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    hears: asyncio.Event = field(default_factory=asyncio.Event)

    def seconds(self, tone: int, identity: str) -> float:
        return len(self.heard[tone, identity]) * PIECE_S

    def longest_hole_s(self, tone: int, identity: str) -> float:
        """For how long nothing was heard of it, at most, between its beginning and its end."""
        return max((after - before for before, after in pairwise(self.heard[tone, identity])), default=0.0)

    def speakers_of(self, tone: int) -> set[str]:
        return {who for _, _, one, who in self.spans() if one == tone}

    def last_heard_at(self) -> float:
        return max((times[-1] for times in self.heard.values() if times), default=0.0)

    def spans(self) -> list[tuple[float, float, int, str]]:
        """When each line was heard first and last, its tone, and from whom; in time."""
        return sorted((times[0], times[-1], tone, who) for (tone, who), times in self.heard.items() if times)

    async def quiet(self, *, for_s: float = 0.5) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(60):
            while clock() - self.last_heard_at() < for_s:  # noqa: ASYNC110 - silence is no event
                await asyncio.sleep(0.05)

    async def listen(self, track: rtc.Track, identity: str) -> None:
        self.hears.set()
        last: int | None = None
        run: list[float] = []
        async with aclosing(sound_of(track)) as pieces:
            async for pcm in pieces:
                tone = self._tone_of(numpy.frombuffer(pcm, numpy.int16).astype(float))
                run = [*(run if tone == last else []), asyncio.get_running_loop().time()]
                if tone is not None and len(run) >= _RUN:
                    self.heard[tone, identity] += run[-1:] if len(run) > _RUN else run
                last = tone

    def _tone_of(self, values: numpy.ndarray) -> int | None:
        if not len(values) or numpy.abs(values).mean() < _LOUD:
            return None
        power = numpy.abs(numpy.fft.rfft(values * numpy.hanning(len(values)), 4 * len(values)))
        hertz = float(power.argmax() * SAMPLE_RATE / (4 * len(values)))
        nearest = min(self.tones, key=lambda tone: abs(tone - hertz))
        return nearest if abs(nearest - hertz) <= _NEAR_HERTZ else None


@asynccontextmanager
async def ear_in(
    credentials: LiveKitCredentials, room: str, tones: Sequence[int]
) -> AsyncIterator[PitchedEar]:
    ear = PitchedEar(tones)
    there = rtc.Room()
    async with asyncio.TaskGroup() as tasks:
        listening: dict[str, asyncio.Task[None]] = {}

        def on_track(track: rtc.Track, _: object, participant: rtc.RemoteParticipant) -> None:
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                listening[track.sid] = tasks.create_task(ear.listen(track, participant.identity))

        def on_gone(track: rtc.Track, *_: object) -> None:
            if task := listening.pop(track.sid, None):  # else it would go on with what takes its place
                task.cancel()

        there.on("track_subscribed", on_track)
        there.on("track_unsubscribed", on_gone)
        async with joined(there, credentials.ws_url, token(credentials, room, "ear")):
            yield ear
        for task in listening.values():
            task.cancel()
