"""Whether the shared Redis answers: said once when it stops, once when it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from libacli.edges.redis.trouble import translated
from libacli.errors import StoreError

logger = logging.getLogger("liba.redis")

RETRY_S = 5.0
"""Between two tries of one that is gone: each costs whoever asks up to two seconds."""


class RedisWatch:
    """One for all that an agent keeps in one Redis. `clock` is in seconds, and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed_at: float | None = None
        self._is_gone = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around each call. Raises StoreError: what was asked for was not done, or that is not known."""
        if self._is_gone and self.answers_for_s < RETRY_S:
            raise StoreError("Redis is gone", hint="liba doctor checks redis.url")
        try:
            with translated():
                yield
        except StoreError as error:
            self._failed_at = self._clock()
            if not self._is_gone:
                logger.warning("%s; what may be spent is counted on this machine alone", error)
            self._is_gone = True
            raise
        if self._is_gone:
            logger.warning("Redis is back; what may be spent is counted for all machines again")
        self._is_gone = False

    @property
    def answers_for_s(self) -> float:
        """Seconds since it failed last; infinite when it never has."""
        return float("inf") if self._failed_at is None else self._clock() - self._failed_at
