"""Whether sound that ends has a step in it, which is heard as a click."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from statistics import median

from livekit import rtc

from libacli.core.audio import AUDIBLE_PEAK, BYTES_PER_SAMPLE, SAMPLE_RATE, first_audible_s, samples
from tests.sounds import wave

HERTZ = 300.0
"""Of the tone that is stopped: low, so that what is sharp does not come from itself."""

_SMOOTH = 5
"""So many times as sharp as the tone itself nothing is that fades away over some ms."""


_END_S = 0.08


def sound(seconds: float) -> bytes:
    """A tone without any pause."""
    return wave(SAMPLE_RATE, seconds=seconds, hertz=HERTZ).tobytes()


@asynccontextmanager
async def hearing(track: rtc.Track) -> AsyncIterator[bytearray]:
    """What is passed on from now on."""
    heard = bytearray()
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)

    async def hear() -> None:
        async for event in stream:
            heard.extend(event.frame.data)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hear())
        yield heard
        await asyncio.sleep(0.1)
        await stream.aclose()
        task.cancel()


def clicks(heard: bytes) -> bool:
    """Whether the end of such a tone, as it was heard, has a step in it.

    What is before it does not count: a machine that is busy leaves holes there.
    """
    return _sharpness(_end_of(_begun(heard))) > _SMOOTH * _sharpness(sound(0.1))


def fades(heard: bytes) -> bool:
    """Whether the tone has become quieter over some ms, and not from one wave to the next."""
    values = samples(_begun(heard))
    size = round(SAMPLE_RATE / HERTZ)
    loudness = [max(map(abs, values[at : at + size])) for at in range(0, len(values) - size, size)]
    full = median(loudness[:10])
    return sum(0.05 * full < one < 0.9 * full for one in loudness) >= 3


def _begun(heard: bytes) -> bytes:
    begin = round(((first_audible_s(heard) or 0.0) + 0.03) * SAMPLE_RATE)
    return heard[begin * BYTES_PER_SAMPLE :]


def _end_of(heard: bytes) -> bytes:
    """From shortly before the last sample that sounds on."""
    values = samples(heard)
    end = max((at for at, value in enumerate(values) if abs(value) >= AUDIBLE_PEAK), default=0)
    return heard[max(0, end - round(_END_S * SAMPLE_RATE)) * BYTES_PER_SAMPLE :]


def _sharpness(pcm: bytes) -> int:
    """How far the slope changes from one sample to the next, at most."""
    slopes = [after - before for before, after in pairwise(samples(pcm))]
    return max(abs(after - before) for before, after in pairwise(slopes))


def most(found: list[bool]) -> bool:
    """Whether most are true: of one stop in some a machine that is busy comes too late."""
    return sum(found) > len(found) // 2
