"""Many records in a few numbers."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libacli.core.latency import COUNTED, counted
from libacli.core.route import route_word
from libacli.core.threshold import STATISTICS
from libacli.core.utterance_record import UtteranceRecord

_OF_ANOTHER = re.compile(r"key \S+ for (.+)", re.DOTALL)


def payer(record: UtteranceRecord) -> str:
    """Who asked for it: the name of an HTTP key or session, else the LiveKit key, or the participant."""
    if found := _OF_ANOTHER.fullmatch(record.account):
        return found[1]
    return record.account.removesuffix(f" in {record.room}") or "unknown"


KEYS: Mapping[str, Callable[[UtteranceRecord], str]] = {
    "route": lambda record: route_word(record.route, "none"),
    "voice": lambda record: record.voice or "none",
    "provider": lambda record: record.provider or "none",
    "model": lambda record: record.model or "none",
    "room": lambda record: record.room,
    "key": payer,
    "day": lambda record: datetime.fromtimestamp(record.t0, UTC).date().isoformat(),
    "outcome": lambda record: record.outcome,
}
"""What records can be grouped by; a day is one of UTC."""

_SHOWN = ("p50", "p95", "p99", "max")


@dataclass
class Summary:
    """Records that have the same `key`."""

    key: tuple[str, ...] = ()
    outcomes: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    cached: int = 0
    underruns: int = 0
    chars: int = 0
    values: dict[str, Sequence[float]] = field(default_factory=dict)
    """Durations by name, in milliseconds, of the records in which they count, see `core.latency`."""

    @property
    def count(self) -> int:
        return self.outcomes.total()

    def add(self, record: UtteranceRecord) -> None:
        self.outcomes[record.outcome] += 1
        self.routes[route_word(record.route, "none")] += 1
        self.replayed += record.replayed
        self.cached += record.cached
        self.underruns += record.underruns
        self.chars += record.chars
        for name, value in counted(record):
            self.values.setdefault(name, array("d")).append(value)  # type: ignore[attr-defined]

    def statistics(self) -> dict[str, dict[str, float]]:
        """By duration: its count, p50, p95, p99 and maximum."""
        found = {}
        for name in COUNTED:
            if values := sorted(self.values.get(name, ())):
                shown = {statistic: round(STATISTICS[statistic](values), 2) for statistic in _SHOWN}
                found[name] = {"count": len(values), **shown}
        return found

    def encode(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "outcomes": dict(self.outcomes),
            "routes": dict(self.routes),
            "replayed": self.replayed,
            "cached": self.cached,
            "underruns": self.underruns,
            "chars": self.chars,
            "durations_ms": self.statistics(),
        }


def summarise(records: Iterable[UtteranceRecord], by: Sequence[str] = ()) -> tuple[Summary, list[Summary]]:
    """All of them together, and in groups with the same values of `by` (names in `KEYS`), sorted by them."""
    everything = Summary()
    groups: dict[tuple[str, ...], Summary] = {}
    for record in records:
        everything.add(record)
        if by:
            key = tuple(KEYS[name](record) for name in by)
            groups.setdefault(key, Summary(key)).add(record)
    return everything, [groups[key] for key in sorted(groups)]
