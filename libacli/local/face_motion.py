"""What a face does by itself at a given time: blinks, glances, lifted brows, a swaying head, breath.

Everything follows from the time and a seed, so that the same moment looks the same each time it is asked for.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

GAZES = ((0.0, 0.0), (-2.8, 0.4), (2.6, 0.0), (-1.2, -1.2), (1.3, 1.2))
"""Where the eyes may look, in units right and down of straight ahead; the first is straight ahead."""

_PLAN_S = 600.0
"""For so long blinks and glances are planned at a time."""

_BLINK_EVERY_S = (2.6, 5.6)
_CLOSE_S, _CLOSED_S, _REOPEN_S = 0.045, 0.045, 0.085
_GAZE_EVERY_S = (0.9, 3.4)
_AHEAD = 0.55
"""Part of all glances that go straight ahead."""

_BROWS_EVERY_S = (1.3, 3.4)
_BROWS_S = 0.56
_BREATH_S = 4.3
_SWAY_S = ((7.9, 0.62), (4.7, 0.28), (2.9, 0.1))
_NOD_S = ((6.1, 0.6), (3.7, 0.4))
"""Periods and shares of the waves that a movement is made of."""


class Motion:
    """Reads off, at `at_s` seconds of any steady clock, what the face does."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = random.Random(seed)
        self._phases = [chance.uniform(0, 2 * math.pi) for _ in range(6)]

    def lids(self, at_s: float) -> float:
        """0 open .. 1 closed."""
        since = _since(self._plan(at_s).blinks, at_s)
        if since < _CLOSE_S:
            return since / _CLOSE_S
        return min(1.0, max(0.0, 1 - (since - _CLOSE_S - _CLOSED_S) / _REOPEN_S))

    def gaze(self, at_s: float) -> int:
        """Place in `GAZES`. The eyes jump there, as eyes do."""
        plan = self._plan(at_s)
        return plan.gazes[bisect.bisect_right(plan.glances, at_s % _PLAN_S) - 1]

    def brows(self, at_s: float) -> float:
        """0 at rest .. 1 raised, of somebody who speaks."""
        since = _since(self._plan(at_s).brows, at_s)
        return math.sin(math.pi * since / _BROWS_S) ** 2 if since < _BROWS_S else 0.0

    def breath(self, at_s: float) -> float:
        """0 out .. 1 in; in is quicker than out."""
        turn = 2 * math.pi * at_s / _BREATH_S + self._phases[0]
        return 0.5 - 0.5 * math.cos(turn + 0.35 * math.sin(turn))

    def sway(self, at_s: float) -> float:
        """-1 left .. 1 right."""
        return _waves(at_s, _SWAY_S, self._phases[1:4])

    def nod(self, at_s: float) -> float:
        """-1 up .. 1 down."""
        return _waves(at_s, _NOD_S, self._phases[4:])

    def _plan(self, at_s: float) -> _Plan:
        return _planned(self._seed, int(at_s // _PLAN_S))


@dataclass(frozen=True)
class _Plan:
    """Seconds, from its begin, at which something is done."""

    blinks: list[float]
    glances: list[float]
    gazes: list[int]
    """Of each glance."""

    brows: list[float]


@functools.lru_cache(maxsize=8)
def _planned(seed: int, number: int) -> _Plan:
    """No two plans are the same."""
    chance = random.Random(f"{seed} {number}")
    glances = list(_times(chance, _GAZE_EVERY_S))
    return _Plan(
        blinks=list(_times(chance, _BLINK_EVERY_S)),
        glances=glances,
        gazes=list(itertools.islice(_gazes(chance), len(glances))),
        brows=list(_times(chance, _BROWS_EVERY_S)),
    )


def _times(chance: random.Random, every_s: tuple[float, float]) -> Iterator[float]:
    at_s = chance.uniform(*every_s)
    while at_s < _PLAN_S:
        yield at_s
        at_s += chance.uniform(*every_s)


def _since(times: list[float], at_s: float) -> float:
    """Seconds since the last of `times`."""
    at_s %= _PLAN_S
    place = bisect.bisect_right(times, at_s)
    return at_s - times[place - 1] if place else _PLAN_S


def _gazes(chance: random.Random) -> Iterator[int]:
    """Straight ahead, or aside to another place than the last time."""
    aside = 0
    while True:
        if chance.random() < _AHEAD:
            yield 0
        else:
            aside = chance.choice([place for place in range(1, len(GAZES)) if place != aside])
            yield aside


def _waves(at_s: float, waves: tuple[tuple[float, float], ...], phases: list[float]) -> float:
    return sum(
        share * math.sin(2 * math.pi * at_s / period_s + phase)
        for (period_s, share), phase in zip(waves, phases, strict=True)
    )
