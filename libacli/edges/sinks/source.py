"""Where sound goes into LiveKit's SDK, which can fall silent there without a click."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from livekit import rtc

from libacli.core.audio import BYTES_PER_SAMPLE, BYTES_PER_SECOND, SAMPLE_RATE, duration_s, fading

FADE_S = 0.02
"""Long enough that nobody hears a click, short enough that nobody hears another word."""

_FADE_BYTES = round(BYTES_PER_SECOND * FADE_S)
_STEP_BYTES = BYTES_PER_SECOND // 100
"""The SDK passes on 10 ms at a time."""

_STEP_S = duration_s(_STEP_BYTES)
_STEPS_AT_LEAST, _STEPS_AT_MOST = 3, 10
_IN_TIME_S = 0.003
"""How much longer than the quickest a step may be on its way to us: what is done then is done before the next
one."""

_HEAR_S = 0.15
"""Within which they have come, however busy the machine is."""

_KEPT_BYTES = BYTES_PER_SECOND * 3
"""Of what was queued: more than can be left."""


class SpeechSource:
    """A source of 24 kHz mono, whose queue has room for `queue_s` seconds. Needs a running event loop.

    Raises what the SDK raises, which is `Exception`.
    """

    def __init__(self, name: str, *, queue_s: float) -> None:
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=round(queue_s * 1000))
        self._given = bytearray()
        """The newest of what was queued."""

        self.track = rtc.LocalAudioTrack.create_audio_track(name, self._source)
        """To be published."""

    @property
    def queued_s(self) -> float:
        """Seconds until all has been passed on, by the clock: it may be 10 ms more."""
        return self._source.queued_duration

    async def capture(self, frames: bytes) -> None:
        """Queues whole frames, which have to have room there: where they wait for it, none can follow."""
        self._given += frames
        del self._given[:-_KEPT_BYTES]
        count = len(frames) // BYTES_PER_SAMPLE
        await self._source.capture_frame(rtc.AudioFrame(frames, SAMPLE_RATE, 1, count))

    async def passed_on(self) -> None:
        """Waits until nothing is queued any more."""
        await self._source.wait_for_playout()

    def drop(self) -> None:
        """Forgets what is queued, at once: what sounds is cut off."""
        self._source.clear_queue()
        self._given.clear()

    async def fade_out(self) -> float:
        """Forgets what is queued, but for `FADE_S` at most that fade away; returns how long that takes.

        They have to begin with the very sample after the last one that was passed on, which is found by
        hearing what is. Who cancels this has it cut off.
        """
        rest = b""
        try:
            if self.queued_s:
                async with aclosing(_steps(self.track)) as steps:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_HEAR_S):
                            rest = self._after(await _one_in_time(steps))
                    self.drop()
                    if rest:
                        await self.capture(fading(rest))
        finally:
            if not rest:
                self.drop()
        return duration_s(len(rest))

    async def aclose(self) -> None:
        await self._source.aclose()

    def _after(self, step: bytes) -> bytes:
        """What was queued behind this step, as much of it as fades; nothing where it is not known."""
        expected = len(self._given) - self.queued_s * BYTES_PER_SECOND
        found = [
            start
            for start in range(0, len(self._given), _STEP_BYTES)
            if self._given[start : start + _STEP_BYTES] == step
        ]
        if not found:
            return b""
        end = min(found, key=lambda start: abs(start - expected)) + _STEP_BYTES
        return bytes(self._given[end : end + _FADE_BYTES])


async def _one_in_time(steps: AsyncGenerator[bytes]) -> bytes:
    """The first step that is known to have come at once."""
    clock = asyncio.get_running_loop().time
    quickest_at = math.inf
    number = 0
    async for step in steps:
        came_at = clock() - number * _STEP_S
        quickest_at = min(quickest_at, came_at)
        number += 1
        is_in_time = number >= _STEPS_AT_LEAST and came_at < quickest_at + _IN_TIME_S
        if is_in_time or number == _STEPS_AT_MOST:
            return step
    return b""


async def _steps(track: rtc.Track) -> AsyncGenerator[bytes]:
    """What is passed on from now on, step by step."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
    try:
        async for event in stream:
            yield bytes(event.frame.data)
    finally:
        await stream.aclose()
