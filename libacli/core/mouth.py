"""From sound to the shape of a mouth: how far open, how wide."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from libacli.core.audio import samples

_STEP = 3
"""Every third sample is looked at: 8 kHz are enough for energy and brightness, at a third of the cost."""

_QUIET = 120.0
"""Level, root mean square of 32768, below which the mouth stays closed."""

_ATTACK, _RELEASE = 0.75, 0.35
"""Parts of the way to go that are gone in one frame: open after two of them, closed after six, 120 ms."""

_LOUD_AT_FIRST = 3500.0
"""Level of a voice at a usual -19 dBFS; what counts as loud until the voice was heard."""

_LOUD_FALL = 0.995
"""Per frame: what was loud is half of that after 2.8 s."""


@dataclass(frozen=True)
class MouthShape:
    """How a mouth looks at one moment."""

    openness: float = 0.0
    """0 closed .. 1 wide open: follows the energy of the sound."""

    width: float = 0.5
    """0 round ("oo") .. 1 wide ("ee"): follows how bright the sound is."""


class MouthTracker:
    """Follows speech frame by frame; opens at once, closes within 120 ms of silence."""

    def __init__(self) -> None:
        self._openness = 0.0
        self._width = 0.5
        self._loud = _LOUD_AT_FIRST

    def push(self, frame: bytes) -> MouthShape:
        """The shape at the end of one 20 ms frame of 24 kHz mono s16le."""
        level, brightness = _measure(frame)
        self._loud = max(level, self._loud * _LOUD_FALL, _LOUD_AT_FIRST / 4)
        wanted = 0.0 if level < _QUIET else min(1.0, (level / self._loud) ** 0.8 * 1.1)
        pull = _ATTACK if wanted > self._openness else _RELEASE
        self._openness += (wanted - self._openness) * pull
        if wanted == 0.0 and self._openness < 0.1:
            self._openness = 0.0
        if level >= _QUIET:
            self._width += (min(1.0, max(0.0, (brightness - 0.15) / 0.7)) - self._width) * 0.4
        else:
            self._width += (0.5 - self._width) * 0.2
        return MouthShape(self._openness, self._width)


def _measure(frame: bytes) -> tuple[float, float]:
    """Root mean square of `frame`, and its brightness: energy of the differences over that of the sound."""
    values = samples(frame)[::_STEP]
    if len(values) < 2:
        return 0.0, 0.0
    energy = sum(value * value for value in values)
    if energy == 0:
        return 0.0, 0.0
    change = sum((after - before) ** 2 for before, after in itertools.pairwise(values))
    return math.sqrt(energy / len(values)), min(1.0, math.sqrt(change / energy))
