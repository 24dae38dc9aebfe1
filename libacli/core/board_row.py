"""One utterance as a watcher knows it, and how its latency stands to the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libacli.core.event import Event, Report
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
    def voice_ms(self) -> float | None:
        """From its turn to T1: 0 when the voice began while it still waited."""
        return None if self.report.d01 is None else max(0.0, self.report.d01 - self._turn)

    @property
    def sink_ms(self) -> float | None:
        """From T1, or its turn where that was later, to T2."""
        report = self.report
        if report.d01 is None or report.d12 is None:
            return None
        return max(0.0, report.d01 + report.d12 - max(report.d01, self._turn))

    @property
    def latency_ms(self) -> float | None:
        """From its turn to TA: what the budgets are about; None when it was not heard yet."""
        if self.voice_ms is None or self.sink_ms is None or self.report.d2a is None:
            return None
        return self.voice_ms + self.sink_ms + self.report.d2a

    @property
    def audible_ms(self) -> float | None:
        """From T0 to TA, the time in the queue included."""
        return audible_ms(self.report)

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

    @property
    def _turn(self) -> float:
        return self.report.waited or 0.0

    def _since_news_ms(self, now: float) -> float:
        return max(0.0, now - self.heard_at) * 1000


def audible_ms(report: Report) -> float | None:
    """From T0 to TA; None when it was not heard."""
    if report.d01 is None or report.d12 is None or report.d2a is None:
        return None
    return report.d01 + report.d12 + report.d2a
