"""How much of what was said has been heard, on a machine that may be busy with something else.

A receiver that runs short of sound stretches what it has, and what is late waits in its buffer: more seconds
are heard than were said, never fewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy

from libacli.core.audio import SAMPLE_RATE
from libacli.edges.viewer.listener import AudioCapture

EDGE_S = 0.1
"""What a codec and the threshold of loudness take off the edges of a sound."""

CAUGHT_UP_S = 0.2
"""The same, with what a receiver leaves out to be in time again when sound was late (in WebRTC's statistics:
`removed_samples_for_acceleration`). For tests that ask how it sounds, not how much of it was heard."""

BUSY_S = 1.0
"""What a busy machine may add to any time: what is quick is shown by benches, in ratios."""


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


_WINDOW = SAMPLE_RATE // 50  # 20 ms, in which tones 100 Hz apart are told apart
_SILENCE = 200.0
_PURE = 0.8
"""Which part of a window's power a tone has. Where tones begin, end and meet, all sound a little."""


def tones_in(pcm: bytes | bytearray, tones: Sequence[int]) -> dict[int, float]:
    """For how many seconds each of these tones was heard by itself, in the order in which they began.

    Tones are multiples of 50 Hz and 100 Hz apart or more.
    """
    values = numpy.frombuffer(bytes(pcm), numpy.int16).astype(float)
    windows = values[: len(values) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    loud = windows[numpy.abs(windows).mean(axis=1) > _SILENCE]
    power = numpy.abs(numpy.fft.rfft(loud * numpy.hanning(_WINDOW), axis=1)) ** 2
    around = numpy.stack([_around(power, hertz * _WINDOW // SAMPLE_RATE) for hertz in tones], axis=1)
    heard: dict[int, float] = {}
    for number in around.argmax(axis=1)[around.max(axis=1) > _PURE * power.sum(axis=1)].tolist():
        heard[tones[number]] = heard.get(tones[number], 0.0) + _WINDOW / SAMPLE_RATE
    return heard


def _around(power: numpy.ndarray, place: int) -> numpy.ndarray:
    return power[:, place - 1 : place + 2].sum(axis=1)  # type: ignore[no-any-return]
