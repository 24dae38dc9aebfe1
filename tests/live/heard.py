"""How much of what was said has been heard, on a machine that may be busy with something else.

A receiver that runs short of sound stretches what it has, and what is late waits in its buffer: more seconds
are heard than were said, never fewer.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy

from libacli.core.audio import SAMPLE_RATE
from libacli.edges.viewer.listener import AudioCapture

EDGE_S = 0.1
"""What a codec and the threshold of loudness take off the edges of a sound."""


class Hearer(Protocol):
    @property
    def capture(self) -> AudioCapture: ...


async def quiet(hearer: Hearer, *, for_s: float = 0.3, timeout_s: float = 60.0) -> None:
    """Waits until nothing was heard for so long: what was played has arrived."""
    clock = asyncio.get_running_loop().time
    since = clock()
    async with asyncio.timeout(timeout_s):
        while clock() - max(since, hearer.capture.last_audible_at or 0.0) < for_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def assert_heard_once(heard_s: float, sound_s: float, *, edge_s: float = EDGE_S) -> None:
    """All of `sound_s` seconds was heard, and not twice."""
    assert sound_s - edge_s <= heard_s < 2 * sound_s - edge_s


def loudest_hertz(pcm: bytes | bytearray) -> float:
    """The tone that most of a sound is, whatever holes there are in it."""
    values = numpy.frombuffer(bytes(pcm), numpy.int16).astype(float)
    power = numpy.abs(numpy.fft.rfft(values * numpy.hanning(len(values))))
    return float(power.argmax() * SAMPLE_RATE / len(values))


def share_of(hertz: float, pcm: bytes | bytearray, *, width_hertz: float = 60.0) -> float:
    """Which part of a sound's power is within so much of a tone: 0 to 1."""
    values = numpy.frombuffer(bytes(pcm), numpy.int16).astype(float)
    power = numpy.abs(numpy.fft.rfft(values * numpy.hanning(len(values)))) ** 2
    tones = numpy.arange(len(power)) * SAMPLE_RATE / len(values)
    return float(power[abs(tones - hertz) <= width_hertz].sum() / power.sum())
