"""One utterance as a watcher knows it, and how its latency stands to the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libacli.core.lifecycle import WatchedState, is_over
from libacli.core.record import Record

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
class Row:
    """One utterance, on its way or ended."""

    record: Record
    """What is known of it. Its outcome counts only once it has ended, its t0 unless that is 0."""

    state: WatchedState
    """`lost`: its end was not seen, because its agent or the connection was gone."""

    heard_at: float
    """When the last news of it came, in seconds of the watcher's monotonic clock."""

    @property
    def is_over(self) -> bool:
        return is_over(self.state)

    @property
    def voice_ms(self) -> float | None:
        """From its turn to T1: 0 when the voice began while it still waited."""
        return None if self.record.d01 is None else max(0.0, self.record.d01 - self._turn)

    @property
    def sink_ms(self) -> float | None:
        """From T1, or its turn where that was later, to T2."""
        record = self.record
        if record.d01 is None or record.d12 is None:
            return None
        return max(0.0, record.d01 + record.d12 - max(record.d01, self._turn))

    @property
    def latency_ms(self) -> float | None:
        """From its turn to TA: what the budgets are about; None when it was not heard yet."""
        if self.voice_ms is None or self.sink_ms is None or self.record.d2a is None:
            return None
        return self.voice_ms + self.sink_ms + self.record.d2a

    @property
    def audible_ms(self) -> float | None:
        """From T0 to TA, the time in the queue included."""
        return audible_ms(self.record)

    def playing_ms(self, now: float) -> float | None:
        """From TA to T3, or until now; from T2 where nobody heard the beginning."""
        record = self.record
        if record.d23 is not None:
            return max(0.0, record.d23 - (record.d2a or 0.0))
        return self._since_news_ms(now) if self.state == "audible" else None

    def waiting_ms(self, now: float) -> float | None:
        """In the queue, as far as it is known."""
        return self._since_news_ms(now) if self.state == "accepted" else self.record.waited

    def pending_ms(self, now: float) -> float | None:
        """How long it has been its turn already without being heard; None when that is not the case."""
        return self._since_news_ms(now) if self.state == "speaking" else None

    @property
    def _turn(self) -> float:
        return self.record.waited or 0.0

    def _since_news_ms(self, now: float) -> float:
        return max(0.0, now - self.heard_at) * 1000


def audible_ms(record: Record) -> float | None:
    """From T0 to TA; None when it was not heard."""
    if record.d01 is None or record.d12 is None or record.d2a is None:
        return None
    return record.d01 + record.d12 + record.d2a
