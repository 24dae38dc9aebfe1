"""One utterance on its way from the voice into the sink, up to its confirmed end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from libacli.core.audio import FrameSlicer, duration_s, silence
from libacli.core.bounds import Bounds
from libacli.core.lifecycle import State
from libacli.core.route import route_word
from libacli.core.utterance import Utterance
from libacli.errors import VoiceError
from libacli.speech.given import Readable
from libacli.speech.ports import Playback, Route, Sink

logger = logging.getLogger("liba.speaker")

_SINGLY, _AT_ONCE = 10, 5
"""Frames: 0.2 s in steps of 20 ms, so that the first sound waits for nothing, then 100 ms at a time, as far
as they are there: to hand sound to the SDK costs the same whatever its length, and more the more rooms do."""


class Performance:
    """Has `utterance` spoken once, and notes down in it what comes of that. `run` may be called once.

    `become` is called with each state that the utterance reaches on the way; its end is the caller's to tell.
    """

    def __init__(
        self,
        utterance: Utterance,
        reading: Readable,
        sink: Sink,
        *,
        bounds: Bounds,
        silence_tail_ms: int,
        become: Callable[[State], None],
    ) -> None:
        self.cut_off: VoiceError | None = None
        """Why the voice broke off in the middle; what it had said until then was heard out.

        So was what followed, where another voice said it."""

        self._utterance = utterance
        self._reading = reading
        self._sink = sink
        self._bounds = bounds
        self._silence_tail_ms = silence_tail_ms
        self._become = become
        self._runs_dry_at = 0.0
        utterance.passages = reading.passages

    async def run(self) -> Playback:
        """Speaks it to its end, and returns how that is known.

        Raises VoiceError when the voice said nothing, SinkError, and TimeoutError when the sink took a call
        longer than its bound.
        """
        await self._open_sink()
        try:
            await self._feed()
        except VoiceError as error:
            if not self._utterance.frames:
                raise
            self.cut_off = error
        self.cut_off = self.cut_off or self._reading.broke_off
        for frames in FrameSlicer(at_once=_AT_ONCE).push(silence(self._silence_tail_ms)):
            await self._write(frames)
        playback = await self._sink.finish()
        self._utterance.timeline.mark("t3", self._now())
        self._utterance.t3_source, self._utterance.replayed = playback.source, playback.replayed
        if playback.route:
            self._take_route(playback.route)
        return playback

    async def _open_sink(self) -> None:
        async with asyncio.timeout(self._bounds.speaker_open_s):
            route = await self._sink.start(self._on_audible)
        self._take_route(route)
        self._become("speaking")

    async def _feed(self) -> None:
        slicer, timeline = FrameSlicer(singly=_SINGLY, at_once=_AT_ONCE), self._utterance.timeline
        async with aclosing(self._reading.pcm()) as pcm:
            async for piece in pcm:
                if self._reading.first_pcm_at is not None:
                    # What the voice made ahead of its turn counts from there: it cannot be waited for before.
                    timeline.mark("t1", max(self._reading.first_pcm_at, timeline.turn or 0.0))
                self._utterance.chunks = self._reading.chunks
                self._utterance.hold = round(self._reading.held_s * 1000, 2)
                for frames in slicer.push(piece):
                    await self._write(frames)
        for frame in slicer.flush():
            await self._write(frame)

    async def _write(self, frames: bytes) -> None:
        handed_over_at = self._now()
        async with asyncio.timeout(self._bounds.speaker_write_s):
            await self._sink.write(frames)
        if self._utterance.frames and self._now() > self._runs_dry_at:  # voice, sink or we were late
            self._utterance.underruns += 1
        self._utterance.timeline.mark("t2", handed_over_at)
        self._utterance.took(frames)
        self._runs_dry_at = max(self._runs_dry_at, self._now()) + duration_s(len(frames))

    def _take_route(self, route: Route) -> None:
        self._utterance.route, self._utterance.route_reason = route.name, route.reason
        detail = f"Target={route.target}" if route.name == "avatar" else f"Reason={route.reason}"
        logger.info("ROUTE=%s | %s", route_word(route.name), detail)

    def _on_audible(self) -> None:
        self._utterance.timeline.mark("ta", self._now())
        self._become("audible")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
