"""One utterance as a watcher knows it, and how its latency stands to the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libacli.core.event import Event, Report
from libacli.core.latency import latency_ms
from libacli.core.lifecycle import WatchedState, is_over

Grade = Literal["fine", "slow", "bad"]


@dataclass(frozen=True)
class Budgets:
    """Milliseconds that are fine for each part of an utterance's latency; up to twice as much is slow."""

    d01: float
    d12: float
    d2a: float

    @property
    def total(self) -> float:
        """From its turn until it can be heard."""
        return self.d01 + self.d12 + self.d2a


def grade(ms: float, budget: float) -> Grade:
    """How a duration stands to its budget."""
    return "fine" if ms <= budget else "slow" if ms <= 2 * budget else "bad"


@dataclass(frozen=True)
class BoardRow:
    """One utterance, on its way or ended."""

    event: Event
    """What its agent last told of it. Its t0 counts unless that is 0."""

    state: WatchedState
    """That of the event, or `lost`: its end was not seen, because its agent or the connection was gone."""

    heard_at: float
    """When the last news of it came, in seconds of the watcher's monotonic clock."""

    @property
    def report(self) -> Report:
        return self.event.report

    @property
    def is_over(self) -> bool:
        return is_over(self.state)

    @property
    def latency_ms(self) -> float | None:
        """From its turn to TA: what the budgets are about; None when it was not heard yet."""
        return latency_ms(self.report)

    def playing_ms(self, now: float) -> float | None:
        """From TA to T3, or until now; from T2 where nobody heard the beginning."""
        report = self.report
        if report.d23 is not None:
            return max(0.0, report.d23 - (report.d2a or 0.0))
        return self._since_news_ms(now) if self.state == "audible" else None

    def waiting_ms(self, now: float) -> float | None:
        """In the queue, as far as it is known."""
        return self._since_news_ms(now) if self.state == "accepted" else self.report.waited

    def pending_ms(self, now: float) -> float | None:
        """How long it has been its turn already without being heard; None when that is not the case."""
        return self._since_news_ms(now) if self.state == "speaking" else None

    def _since_news_ms(self, now: float) -> float:
        return max(0.0, now - self.heard_at) * 1000
