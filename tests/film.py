"""Reads a recording back: when it flashes, when it beeps."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy

from libacli.core.audio import SAMPLE_RATE

DARK, LIGHT = 40, 220
LOUD = 0.1
"""Of full scale; a beep is louder, what a codec makes of silence is not."""


@dataclass(frozen=True)
class Film:
    """What a file turned out to hold; times in seconds on its own timeline."""

    sound_s: float
    pictures: list[float]
    """When each picture is shown."""

    size: tuple[int, int]
    flashes: list[float]
    """When it turned from dark to light."""

    beeps: list[float]
    """When a beep began after half a second of silence."""

    @property
    def lags(self) -> list[float]:
        """For each flash that has a beep: by how much the beep comes later, in seconds."""
        pairs = [(min(self.beeps, key=lambda beep: abs(beep - flash)), flash) for flash in self.flashes]
        return [beep - flash for beep, flash in pairs if abs(beep - flash) < 0.5]


def read(path: Path) -> Film:
    """Decodes all of a file."""
    with av.open(str(path)) as container:
        has_pictures = bool(container.streams.video)
    pictures, lights, size = [], [], (0, 0)
    if has_pictures:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                size = (frame.width, frame.height)
                pictures.append(frame.time or 0.0)
                lights.append(float(frame.to_ndarray(format="gray").mean()) > (DARK + LIGHT) / 2)
    with av.open(str(path)) as container:
        sounds, length = _sounds(container.decode(audio=0))
    return Film(length, pictures, size, _rises(pictures, lights), sounds)


def _rises(times: list[float], lights: list[bool]) -> list[float]:
    return [time for (_, before), (time, now) in pairwise(zip(times, lights, strict=True)) if now > before]


def _sounds(frames: Iterable[av.AudioFrame]) -> tuple[list[float], float]:
    beeps: list[float] = []
    last, end = -1.0, 0.0
    for frame in frames:
        values = frame.to_ndarray()[0].astype(numpy.float64)
        if frame.format.name.startswith("s16"):
            values /= 32768
        start = frame.time or 0.0
        end = start + frame.samples / frame.sample_rate
        for index in numpy.flatnonzero(abs(values) > LOUD):
            at = float(start + index / frame.sample_rate)
            if at - last > 0.5:
                beeps.append(at)
            last = at
    return beeps, end


def beep(milliseconds: int) -> bytes:
    """A tone of 600 Hz: 24 kHz mono s16le."""
    count = SAMPLE_RATE * milliseconds // 1000
    return array("h", (round(12_000 * math.sin(math.tau * i / 40)) for i in range(count))).tobytes()


def plain(width: int, height: int, light: int) -> bytes:
    """A picture of one shade of grey, as I420."""
    chroma = 2 * ((width + 1) // 2) * ((height + 1) // 2)
    return bytes([light]) * (width * height) + bytes([128]) * chroma
