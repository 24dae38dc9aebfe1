"""Whether lips and sound belong together, judged by what a viewer gets: times of arrival and two numbers."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import StatisticsError, correlation

Series = Sequence[tuple[float, float]]
"""Times in seconds, of one clock and rising, and values at them."""

LONGEST_LAG_S = 0.5
"""What is further apart than this is not told from chance."""

_STEP_S = 0.01
"""As finely as loudness is known."""

_LEAST_CORRELATION = 0.5
"""A mouth that follows the sound gets 0.55 to 0.85; one that follows other words less than 0.4."""

_LEAST_PICTURES = 30
"""A second: in less, chance looks like a fit."""

_MOST_PICTURES = 600
"""Twenty seconds: the work grows with them, the certainty does not."""

_MARGIN_S = 0.3
"""A mouth may move before the first sound and after the last."""

_SMOOTHING = 6
"""Steps: 60 ms, longer than a picture is shown."""

_LOUDNESS = 0.6
"""Exponent from amplitude to how loud it seems, and to how far a mouth is open."""

_OUTSTANDING = 1.25
"""How many times as much as it moved at rest is a movement."""


def lag_s(sound: Series, motion: Series, *, start: float, end: float) -> float | None:
    """By how many seconds the picture comes later than the sound that belongs to it; negative: earlier.

    `sound`: how loud it was, about every 10 ms. `motion`: for each picture how it differs from the one
    before. `start` and `end` are those of speech. A mouth moves when the loudness changes: the motion from
    one picture to the next is compared with the change of loudness in the same interval, moved by each lag
    in question. None when no lag stands out: no picture, too short, or a mouth that does something else.
    """
    steps = [
        (before, at, value)
        for (before, _), (at, value) in pairwise(motion)
        if start - _MARGIN_S <= at <= end + _MARGIN_S
    ][:_MOST_PICTURES]
    if len(steps) < _LEAST_PICTURES or len(sound) < _LEAST_PICTURES:
        return None
    loudness = _Loudness(sound)
    found = []
    for number in range(round(-LONGEST_LAG_S / _STEP_S), round(LONGEST_LAG_S / _STEP_S) + 1):
        lag = number * _STEP_S
        changes = [abs(loudness.at(at - lag) - loudness.at(before - lag)) for before, at, _ in steps]
        found.append((_correlation(changes, [value for _, _, value in steps]), lag))
    best, lag = max(found)
    return lag if best >= _LEAST_CORRELATION and abs(lag) < LONGEST_LAG_S - _STEP_S / 2 else None


def first_movement_at(motion: Series, *, since: float, least: float) -> float | None:
    """When the first picture came, after `since`, in which the mouth moves more than it did before; or None.

    Both `least` and what was seen before `since` have to be surpassed, and by one of the next two pictures
    too: a single one is the video codec's doing.
    """
    values = [value for _, value in motion]
    begin = bisect_left(motion, (since, -math.inf))
    limit = max([least, *(value * _OUTSTANDING for value in values[:begin])])
    for place in range(begin, len(values)):
        if values[place] >= limit and max(values[place + 1 : place + 3], default=0.0) >= limit:
            return motion[place][0]
    return None


class _Loudness:
    """Loudness at any moment: evenly spaced, smoothed over 60 ms, 0 before and after."""

    def __init__(self, sound: Series) -> None:
        self._start = sound[0][0]
        values = [-1.0] * (int((sound[-1][0] - self._start) / _STEP_S) + 1)
        for at, value in sound:  # more than one in a step: of several tracks, or late ones in a bunch
            place = max(0, int((at - self._start) / _STEP_S))
            values[place] = max(values[place], value)
        for place, value in enumerate(values):
            if value < 0:  # none in a step: the bunch follows
                values[place] = values[place - 1]
        around = _SMOOTHING // 2
        padded = [0.0] * around + values + [0.0] * around
        windows = (padded[place : place + _SMOOTHING] for place in range(len(values)))
        self._values = [float((sum(window) / _SMOOTHING) ** _LOUDNESS) for window in windows]

    def at(self, moment: float) -> float:
        place = (moment - self._start) / _STEP_S
        whole = math.floor(place)
        if not 0 <= whole < len(self._values) - 1:
            return 0.0
        before, after = self._values[whole], self._values[whole + 1]
        return before + (after - before) * (place - whole)


def _correlation(one: list[float], other: list[float]) -> float:
    try:
        return float(correlation(one, other))
    except StatisticsError:  # nothing moves
        return 0.0
