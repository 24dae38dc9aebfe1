"""When a request is so late that a second one pays, and how many of those there may be.

"Hedged requests", as in Dean and Barroso, The Tail at Scale (https://research.google/pubs/the-tail-at-scale):
the second is sent once the first is later than the 95th percentile, which keeps the load at 5 % more.
"""

from __future__ import annotations

from libacli.core.running_quantile import RunningQuantile

ONE_IN = 20
"""At most one request in so many has a second one."""

_LEAST_KNOWN = 20
"""Fewer times than this have no 95th percentile. Meanwhile the first second one is earned."""

_REMEMBERED = 200
_LATE_PERCENT = 95
_LATE_FACTOR = 1.5
"""A second request takes about the median itself: later than this it can be expected to be there sooner, and
a voice as steady as a clock has none for nothing."""

_FLOOR_S = 0.25
"""Nobody hears so small a delay, and a second connection alone may take as long."""

_MOST_SAVED = 5
"""Second requests that can be saved up: late ones come in clusters. With 1, half of them would go without."""


class Hedging:
    """Learns how long a voice takes to its first sound, and says when it is late. Times are in seconds.

    `ask` with each request that is made, then one of `took`, `failed` or nothing.
    """

    def __init__(self) -> None:
        self._times = RunningQuantile(_REMEMBERED)
        self._earned = 0
        """In requests: `ONE_IN` of them are one second request."""

    def ask(self) -> None:
        """A request is made, which is no second one."""
        self._earned = min(self._earned + 1, _MOST_SAVED * ONE_IN)

    def took(self, seconds: float) -> None:
        """A first request had its first sound after so long; or had none yet when the second one had."""
        self._times.add(seconds)

    def failed(self) -> None:
        """The service is down, or limits the rate: it gets no second requests until they are earned anew."""
        self._earned = 0

    def late_s(self) -> float | None:
        """How long after its start a request is late; None: that is not known, or it may have no second."""
        if len(self._times) < _LEAST_KNOWN or self._earned < ONE_IN:
            return None
        slow_s = self._times.percentile(_LATE_PERCENT)
        return max(slow_s, _LATE_FACTOR * self._times.percentile(50), _FLOOR_S)

    def spend(self) -> bool:
        """Takes a second request, if there is one left."""
        if self._earned < ONE_IN:
            return False
        self._earned -= ONE_IN
        return True
