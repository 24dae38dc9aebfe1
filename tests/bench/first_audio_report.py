"""What the first-audio bench has found: statistics, goals, table."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libacli.core.timeline import percentile

_MARKS = ("waited", "d01", "d12", "d2a", "d23")
_RESAMPLES = 2000
_SILENCE_TAIL_MS = 120.0
_NO_SILENCE_MS = 5.0
"""Of one tone after another a codec may make a few quiet samples; a queue that ran dry makes 10 ms."""

CLAUSE_MS = 300.0 + 2.0 * 60
"""What the voice of the long texts needs for a bare request of one clause of theirs."""

_LONG_MS = 250.0
"""A clause is not cut for less; so a text without punctuation begins a little later than one with."""


@dataclass
class Scores:
    """What one agent did, in milliseconds."""

    latencies: list[list[float]] = field(default_factory=list)
    """For each visit: from sending to first sound, without the voice's own delay."""

    firsts: list[float] = field(default_factory=list)
    """The same for the first text of each fresh agent, sent as soon as it was ready."""

    starts: list[float] = field(default_factory=list)
    """From the start of the process to its track at the subscriber."""

    readies: list[float] = field(default_factory=list)
    """From the start of the process until it took requests."""

    gaps: list[float] = field(default_factory=list)
    """Silence between two texts that were sent together."""

    longs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Name of a long text → from sending to first sound, the voice's delay included."""

    silences: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Name of a long text → the longest silence in it."""

    marks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """liba's own durations, from its events."""

    def add_marks(self, event: Mapping[str, Any]) -> None:
        """Takes the durations of an event."""
        for name in _MARKS:
            self.marks[name].append(float(event[name]))

    @property
    def median(self) -> float:
        """Over the visits, of each visit's median."""
        return median_over_visits(self.latencies)

    @property
    def p95(self) -> float:
        """Over all texts."""
        return percentile((value for visit in self.latencies for value in visit), 95)


@dataclass(frozen=True)
class Limits:
    """What liba is to reach on one route."""

    floor_ratio: float
    """First sound, over that of the floor."""

    d12_p95_ms: float
    gap_ms: float
    """Silence between two texts."""

    start_ms: float | None
    """From the start of the process to its track."""


TRACK_LIMITS = Limits(1.2, 1.0, _SILENCE_TAIL_MS + 20, 5000.0)
AVATAR_LIMITS = Limits(1.25, 1.5, _SILENCE_TAIL_MS + 30, None)


@dataclass(frozen=True)
class Goal:
    """One number and what it is to be."""

    name: str
    value: float
    limit: float
    unit: str = "ms"

    @property
    def is_reached(self) -> bool:
        return self.value <= self.limit


class Report:
    """All that was measured in one run of `seconds`, with the machine's processors busy to `busy_percent`."""

    def __init__(
        self, scores: Mapping[str, Scores], limits: Limits, *, seconds: float, busy_percent: float
    ) -> None:
        self._scores = scores
        self._limits = limits
        self._busy_percent = busy_percent
        self._seconds = seconds

    @property
    def goals(self) -> list[Goal]:
        """What liba is to reach, with what it did."""
        return [goal for name in self._scores if name.startswith("liba") for goal in self._goals_of(name)]

    @property
    def reaches_its_goals(self) -> bool:
        return all(goal.is_reached for goal in self.goals)

    def _goals_of(self, name: str) -> Iterator[Goal]:
        scores, limits = self._scores[name], self._limits
        if scores.latencies:
            ratio = scores.median / self._scores["floor"].median
            yield Goal(f"{name}: first sound / floor", ratio, limits.floor_ratio, "x")
            yield Goal(f"{name}: d12 p95", percentile(scores.marks["d12"], 95), limits.d12_p95_ms)
            yield Goal(f"{name}: silence between two texts", max(scores.gaps), limits.gap_ms)
        for text, values in scores.longs.items():
            over_ms = statistics.median(values) - CLAUSE_MS
            yield Goal(f"{name}: 1000 characters, {text}, over one clause", over_ms, _LONG_MS)
        for text, values in scores.silences.items():
            yield Goal(f"{name}: longest silence in it, {text}", max(values), _NO_SILENCE_MS)
        if limits.start_ms is not None:
            yield Goal(f"{name}: start to track", statistics.median(scores.starts), limits.start_ms)

    def table(self) -> str:
        """For people."""
        return "\n".join([*self._agent_lines(), "", *self._mark_lines(), "", *self._goal_lines()])

    def _agent_lines(self) -> Iterator[str]:
        yield (
            f"{'':16}{'median':>8}{'p95':>8}{'/floor':>8}{'95 % range':>14}{'first':>8}{'gap':>6}"
            f"{'start':>8}{'ready':>8}   1000 characters: first sound, longest silence"
        )
        for name, scores in self._scores.items():
            latency = self._latency(scores) if scores.latencies else ""
            gap = f"{statistics.median(scores.gaps):.0f}" if scores.gaps else ""
            start, ready = statistics.median(scores.starts), statistics.median(scores.readies)
            longs = "   ".join(_long(scores, text) for text in scores.longs)
            yield f"{name:16}{latency:46}{gap:>6}{start:8.0f}{ready:8.0f}   {longs}".rstrip()
        yield "ms; median, p95: from sending to first sound, without the voice's 300 ms and the warm-up"
        yield "first: the first text of a fresh agent, sent when it was ready, less the median"
        for name, scores in self._scores.items():
            if scores.latencies:
                medians = ", ".join(f"{statistics.median(visit):.0f}" for visit in scores.latencies)
                yield f"{name:16}medians of its visits: {medians}"
        yield f"it took {self._seconds:.0f} s; all of the machine was busy to {self._busy_percent:.0f} %"

    def _latency(self, scores: Scores) -> str:
        floor = self._scores["floor"]
        low, high = ratio_range(scores.latencies, floor.latencies)
        ratio = scores.median / floor.median
        first = statistics.median(scores.firsts) - scores.median
        return (
            f"{scores.median:8.1f}{scores.p95:8.1f}{ratio:8.2f}{f'{low:.2f} - {high:.2f}':>14}{first:+8.0f}"
        )

    def _mark_lines(self) -> Iterator[str]:
        for name, scores in self._scores.items():
            if scores.marks:
                spans = (
                    f"{mark} {statistics.median(values):.2f} (p95 {percentile(values, 95):.2f})"
                    for mark, values in scores.marks.items()
                )
                yield f"{name}: {', '.join(spans)}"

    def _goal_lines(self) -> Iterator[str]:
        for goal in self.goals:
            verdict = "ok" if goal.is_reached else "MISSED"
            yield f"{verdict:8}{goal.name:50}{goal.value:9.2f} {goal.unit:3}(goal: {goal.limit:g})"

    def encode(self) -> dict[str, Any]:
        """For machines: every single value, and what came of them."""
        return {
            "seconds": self._seconds,
            "busy_percent": self._busy_percent,
            "agents": {
                name: {
                    "median_ms": scores.median if scores.latencies else None,
                    "p95_ms": scores.p95 if scores.latencies else None,
                    "latencies_ms": scores.latencies,
                    "first_texts_ms": scores.firsts,
                    "starts_ms": scores.starts,
                    "readies_ms": scores.readies,
                    "gaps_ms": scores.gaps,
                    "long_texts_ms": scores.longs,
                    "long_silences_ms": scores.silences,
                    "marks_ms": scores.marks,
                }
                for name, scores in self._scores.items()
            },
            "goals": [
                {"name": goal.name, "value": goal.value, "limit": goal.limit, "reached": goal.is_reached}
                for goal in self.goals
            ],
        }


def median_over_visits(visits: Sequence[Sequence[float]]) -> float:
    return statistics.median(statistics.median(visit) for visit in visits)


def ratio_range(visits: Sequence[Sequence[float]], base: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95 % range of the ratio of two medians over visits: visits are drawn anew, and texts within them."""
    chance = random.Random(1)

    def drawn(visits: Sequence[Sequence[float]]) -> float:
        chosen = chance.choices(visits, k=len(visits))
        return median_over_visits([chance.choices(visit, k=len(visit)) for visit in chosen])

    ratios = sorted(drawn(visits) / drawn(base) for _ in range(_RESAMPLES))
    return percentile(ratios, 2.5), percentile(ratios, 97.5)


def _long(scores: Scores, text: str) -> str:
    silences = scores.silences.get(text)
    silence = f"{max(silences):.1f}" if silences else "-"
    return f"{text} {statistics.median(scores.longs[text]):.0f}, {silence}"
