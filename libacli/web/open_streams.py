"""How many event streams are open, by whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from libacli.web.problems import Problem

STREAMS_PER_CALLER = 4
"""Four pages at a time. A browser gives one website six connections over HTTP/1.1, and a page needs some for
the rest; each room that is followed costs one participant, who is not seen."""

_RETRY_S = 5.0
"""A page that was closed or loaded anew is noticed well within this."""


class OpenStreams:
    """Counts them. Belongs to one event loop."""

    def __init__(self, limit: int = STREAMS_PER_CALLER) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, seat: str) -> Iterator[None]:
        """One stream of `seat` (see `Caller.seat`) is open inside. Raises Problem when it has too many."""
        if self._open[seat] >= self._limit:
            raise Problem(
                429,
                "too_many_streams",
                f"{self._limit} event streams of this caller are open already",
                hint="close a page that follows a room",
                retry_in_s=_RETRY_S,
            )
        self._open[seat] += 1
        try:
            yield
        finally:
            self._open[seat] -= 1
            if not self._open[seat]:
                del self._open[seat]
