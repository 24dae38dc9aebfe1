"""How a voice answers, estimated from its last answers: what requests are planned by.

Whether its first sound comes later with a longer text is the slope of a line through them, after Theil and
Sen: the median of the slopes between all pairs, of which both ends of the confidence interval are taken
(https://en.wikipedia.org/wiki/Theil-Sen_estimator). A voice that is merely unsteady does not seem to grow.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from libacli.core.timeline import percentile

KEPT = 64
"""Answers that are looked at: old ones say nothing of a service's today."""

COMFORTABLE_CHARS = 320
"""About 20 s of sound. More at a time has no use: it is lost when the line is stopped or the voice fails."""

NEXT_CHARS = 40
"""The least that a chunk in the middle of a text will have, if there is so much."""

_KNOWN = 5
"""Fewer answers than this do not tell growth from chance, unless it is plain."""

_PLAIN_GROWTH_S = 0.01

_CONFIDENCE = 2.33
"""In standard deviations: one time in a hundred the slope is less than what is taken for it."""

_TELLING_CHARS = 20
"""Of two texts whose lengths differ by less, their times tell nothing."""

_GUESS_S = 0.6
_GUESSED_GROWTH_S, _GUESSED_MOST_GROWTH_S = 0.002, 0.01
_GUESSED_PACE_S = 0.06
_GUESSED_LEAST_PACE_S = 0.05
_GUESSED_P95, _GUESSED_P99 = 1.5, 2.5
"""As long as the answers are few: a voice of average speed that may be one or the other, and is unsteady."""

_LAG_KEPT = 12
"""Answers that tell of the pace: a service that has become slow is so with all of them."""

_TELLING_SOUND_S = 1.0
"""Shorter sound does not tell the pace at which it comes."""


PRESUMED_STEADY = 19
"""As if it had been steady so often before: one request of twenty that is late says nothing yet."""


@dataclass(frozen=True)
class Answer:
    """What one request showed. Silence around the sound does not count."""

    chars: int
    """Length of the text."""

    first_s: float | None
    """From the request to the first sound; None: it may have stood behind another one for a while."""

    sound_s: float
    """Length of the sound."""

    arriving_s: float
    """How long all of it took to come, from its beginning on."""

    need_s: float = 0.0
    """How long it had to be held back after its first sound, to be played without a break."""


@dataclass(frozen=True)
class Habits:
    """What is to be expected of a voice. All in seconds."""

    base_s: float = _GUESS_S
    growth_s: float = _GUESSED_GROWTH_S
    """By how much each character of the text delays the first sound, at least: for this a clause is cut."""

    most_growth_s: float = _GUESSED_MOST_GROWTH_S
    """The same at most: so much is reckoned with where the text can be cut without being heard."""

    p95: float = _GUESSED_P95
    """How many times as late as usual the first sound is in one case of twenty; `p99`: of a hundred."""

    p99: float = _GUESSED_P99
    pace_s: float = _GUESSED_PACE_S
    """Sound for each character."""

    least_pace_s: float = _GUESSED_LEAST_PACE_S
    """The same for the tenth of the texts that is spoken fastest."""

    lag: float = 0.0
    """By how much sound takes longer to arrive than to play: 0.25 for a voice at 0.8 of real time."""

    rest_s: float = 0.0
    """What else a text has to be held back for, as its sound comes in bursts: in 95 % of cases at most."""

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Habits:
        """What these answers show."""
        if not answers:
            return cls()
        lag = _lag(answers[-_LAG_KEPT:])
        rests = [max(0.0, answer.need_s - lag * answer.sound_s) for answer in answers]
        paces = [answer.sound_s / answer.chars for answer in answers]
        is_known = len(answers) > PRESUMED_STEADY
        habits = cls(
            pace_s=statistics.median(paces),
            least_pace_s=min(percentile(paces, 10), math.inf if is_known else _GUESSED_LEAST_PACE_S),
            lag=lag,
            rest_s=percentile(rests + [0.0] * PRESUMED_STEADY, 95),
        )
        return replace(habits, **_first_sounds(answers))

    def first_s(self, chars: int) -> float:
        """How long the first sound of a text of that length usually takes."""
        return self.base_s + self.growth_s * chars

    def hold_s(self, chars: int) -> float:
        """How long a text of that length is held back after its first sound, to be played without a break."""
        return self.lag * self.pace_s * chars + self.rest_s


def _first_sounds(answers: Sequence[Answer]) -> dict[str, float]:
    """How long first sounds take: those of `Habits` that tell of them."""
    points = [(one.chars, one.first_s) for one in answers if one.first_s is not None]
    if not points:
        return {}
    growth_s, most_growth_s = _growth_s(points)
    base_s = max(0.0, statistics.median(first_s - growth_s * chars for chars, first_s in points))
    delays = [first_s / max(base_s + growth_s * chars, 0.001) for chars, first_s in points]
    p95, p99 = percentile(delays, 95), percentile(delays, 99)
    if len(answers) <= PRESUMED_STEADY:
        p95, p99 = max(p95, _GUESSED_P95), max(p99, _GUESSED_P99)
    return {"base_s": base_s, "growth_s": growth_s, "most_growth_s": most_growth_s, "p95": p95, "p99": p99}


def _growth_s(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """By how much each character delays the first sound, at least and at most.

    Points are characters and seconds.
    """
    slopes = sorted(
        (one_s - other_s) / (one - other)
        for (one, one_s), (other, other_s) in combinations(points, 2)
        if abs(one - other) >= _TELLING_CHARS
    )
    if not slopes:
        return _GUESSED_GROWTH_S, _GUESSED_MOST_GROWTH_S
    count = len(points)
    if count < _KNOWN:
        is_plain = count > 2 and slopes[0] >= _PLAIN_GROWTH_S
        least_s = slopes[0] if is_plain else min(slopes[0], _GUESSED_GROWTH_S)
        return max(0.0, least_s), max(0.0, slopes[-1])
    # Of Kendall's S, without ties: the interval of a rank correlation is that of the slope.
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    share = 0.5 - _CONFIDENCE * deviation / (count * (count - 1))
    rank = max(0, math.floor(share * len(slopes)))
    return max(0.0, slopes[rank]), max(0.0, slopes[-1 - rank])


def _lag(answers: Sequence[Answer]) -> float:
    telling = [answer for answer in answers if answer.sound_s >= _TELLING_SOUND_S]
    sound_s = sum(answer.sound_s for answer in telling)
    return max(0.0, sum(answer.arriving_s for answer in telling) / sound_s - 1) if telling else 0.0
