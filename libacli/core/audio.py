"""PCM in numbers. Everywhere inside liba sound is 24 000 Hz, mono, signed 16-bit little-endian."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator
from functools import cache

SAMPLE_RATE = 24_000
BYTES_PER_SAMPLE = 2
BYTES_PER_SECOND = SAMPLE_RATE * BYTES_PER_SAMPLE
FRAME_MS = 20
FRAME_BYTES = BYTES_PER_SECOND * FRAME_MS // 1000

AUDIBLE_PEAK = 330
"""A frame whose loudest sample reaches this (-40 dBFS) is sound; below it is silence or codec noise."""


class FrameSlicer:
    """Cuts PCM that arrives in pieces of any length into whole 20 ms frames.

    A network read may end in the middle of a sample; the odd byte is carried to the next read. The first
    `singly` frames come one by one; after those as many as are there come together, `at_once` at most.
    """

    def __init__(self, *, singly: int = 0, at_once: int = 1) -> None:
        self._rest = bytearray()
        self._singly = singly
        self._at_once = at_once

    def push(self, pcm: bytes) -> Iterator[bytes]:
        """Yields every whole frame (`FRAME_BYTES` bytes) that `pcm` completes, some of them joined."""
        self._rest += pcm
        whole = len(self._rest) - len(self._rest) % FRAME_BYTES
        frames = bytes(self._rest[:whole])
        del self._rest[:whole]
        start = 0
        while start < whole:
            end = start + FRAME_BYTES * (1 if self._singly > 0 else self._at_once)
            self._singly -= 1
            yield frames[start:end]
            start = end

    def flush(self) -> Iterator[bytes]:
        """Yields what is left, filled up with silence to a whole frame; half a sample is dropped."""
        rest = bytes(self._rest[: len(self._rest) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE])
        self._rest.clear()
        if rest:
            yield rest.ljust(FRAME_BYTES, b"\0")


def frames_of(pcm: bytes) -> Iterator[bytes]:
    """The 20 ms frames that `pcm`, which is whole frames, is made of."""
    for start in range(0, len(pcm), FRAME_BYTES):
        yield pcm[start : start + FRAME_BYTES]


def duration_s(pcm_bytes: int) -> float:
    """Seconds of sound in so many bytes."""
    return pcm_bytes / BYTES_PER_SECOND


def silence(milliseconds: int) -> bytes:
    """Whole frames of silence, at least `milliseconds` long."""
    return bytes(FRAME_BYTES * math.ceil(milliseconds / FRAME_MS))


def samples(pcm: bytes) -> array[int]:
    """The samples of `pcm`, as integers of -32768..32767."""
    values = array("h", pcm)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def as_pcm(values: array[int]) -> bytes:
    """The other way round: `values`, which may be changed by it, as PCM."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def fading(pcm: bytes) -> bytes:
    """`pcm` from its full loudness to none at its end, along half a wave of a cosine: a straight line has
    corners, and they can be heard."""
    values = samples(pcm)
    for position, sample in enumerate(values):
        values[position] = round(sample * (1 + math.cos(math.pi * position / len(values))) / 2)
    return as_pcm(values)


def first_audible_s(pcm: bytes) -> float | None:
    """Seconds from the start of `pcm` to its first sample that can be heard; None if there is none."""
    for position, sample in enumerate(samples(pcm)):
        if not -AUDIBLE_PEAK < sample < AUDIBLE_PEAK:
            return position / SAMPLE_RATE
    return None


def peak(pcm: bytes) -> int:
    """The loudest sample of `pcm`, without its sign; 0 when there is none."""
    values = samples(pcm)
    return max(max(values), -min(values)) if values else 0


def reaches(pcm: bytes, level: int) -> bool:
    """Whether any sample of `pcm` is that loud. Asked for each 10 ms of sound: mostly its high bytes tell."""
    high_bytes = pcm[1::2]
    may_be_below, are_below = _high_bytes_below(level)
    if high_bytes.translate(None, may_be_below):
        return True
    return bool(high_bytes.translate(None, are_below)) and peak(pcm) >= level


@cache
def _high_bytes_below(level: int) -> tuple[bytes, bytes]:
    """The high bytes of samples of which some, and of which all, are less loud than `level`."""
    some, all_of_them = bytearray(), bytearray()
    for high in range(256):
        first = (high if high < 128 else high - 256) * 256
        quietest, loudest = sorted((abs(first), abs(first + 255)))
        some += bytes([high] * (quietest < level))
        all_of_them += bytes([high] * (loudest < level))
    return bytes(some), bytes(all_of_them)


def is_audible(pcm: bytes) -> bool:
    return reaches(pcm, AUDIBLE_PEAK)


def level_dbfs(pcm: bytes) -> float:
    """Root-mean-square level of `pcm` in dB below full scale; -inf for digital silence."""
    values = samples(pcm)
    if not values:
        return -math.inf
    mean_square = sum(sample * sample for sample in values) / len(values)
    return 10 * math.log10(mean_square / 32768**2) if mean_square else -math.inf
