"""The soak's voice says each number as a tone of its own pitch; this makes the tones, and hears them."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from libacli.core.audio import SAMPLE_RATE, is_audible, samples
from libacli.edges.viewer.listener import AudioCapture

CODES = 40
TONE_MS = 400
_LOWEST_HZ, _STEP_HZ = 400, 50
WHOLE_S = 0.8 * TONE_MS / 1000
_QUIET_FRAMES = 4
"""So many frames of silence, 10 ms each, end a tone."""


def spoken(number: int) -> bytes:
    """PCM of utterance `number`: a tone; the same again after `CODES` of them."""
    hertz = _LOWEST_HZ + number % CODES * _STEP_HZ
    step = 2 * math.pi * hertz / SAMPLE_RATE
    return array(
        "h", (round(8000 * math.sin(step * n)) for n in range(SAMPLE_RATE * TONE_MS // 1000))
    ).tobytes()


@dataclass(frozen=True)
class HeardTone:
    """One tone that was heard to an end."""

    code: int
    """`number % CODES` of what was said."""

    at: float
    """When it began, on the loop's clock."""

    length_s: float
    source: str = ""
    """The track."""

    @property
    def is_whole(self) -> bool:
        return self.length_s >= WHOLE_S


@dataclass
class _Tone:
    began_at: float
    pcm: bytearray = field(default_factory=bytearray)
    quiet: int = 0


@dataclass
class ToneCapture(AudioCapture):
    """A capture that keeps no sound, only which tones it consisted of, track by track."""

    tones: list[HeardTone] = field(default_factory=list)
    _open: dict[str, _Tone] = field(default_factory=dict)

    @property
    def hears(self) -> bool:
        """Whether a tone has begun and not ended yet."""
        return bool(self._open)

    def add(self, pcm: bytes, arrived_at: float, source: str = "") -> None:
        tone = self._open.get(source)
        if is_audible(pcm):
            tone = self._open.setdefault(source, _Tone(arrived_at))
            tone.pcm += pcm
            tone.quiet = 0
        elif tone:
            tone.quiet += 1
            if tone.quiet >= _QUIET_FRAMES:
                self.end(source)

    def end(self, source: str) -> None:
        """The track is over, or the tone is: what sounded there was all of it."""
        if tone := self._open.pop(source, None):
            self.tones.append(_read(tone, source))


def _read(tone: _Tone, source: str) -> HeardTone:
    values = samples(bytes(tone.pcm))
    length_s = len(values) / SAMPLE_RATE
    # Only the middle: coding blurs both ends.
    middle = values[len(values) // 5 : len(values) * 4 // 5]
    hertz = _pitch(middle)
    return HeardTone(round((hertz - _LOWEST_HZ) / _STEP_HZ) % CODES, tone.began_at, length_s, source)


def _pitch(values: Sequence[int]) -> float:
    """Hertz, by the median length of a wave: a gap in the tone makes only a few of them longer."""
    rises = [
        index - after / (after - before)
        for index, (before, after) in enumerate(itertools.pairwise(values), 1)
        if before < 0 <= after
    ]
    lengths = [after - before for before, after in itertools.pairwise(rises)]
    return SAMPLE_RATE / median(lengths) if lengths else 0.0
