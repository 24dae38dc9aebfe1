"""The ports of the hour of characters: who keeps it in step with others, and where machines meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from libacli.core.hour import Spent
from libacli.core.hour_count import HourOfAll


class HourKeeper(Protocol):
    """Keeps an hour in step with what others spend of it. Raises nothing: without them it counts alone."""

    async def load(self) -> None:
        """Learns what was spent before. Before the first request."""

    async def run(self) -> None:
        """Tells what is spent here and learns what is spent elsewhere, until cancelled."""

    async def aclose(self) -> None:
        """Tells what is left, and that nothing is promised here any more."""


class HourStore(Protocol):
    """What all machines with one API key spend of the same hour. Raises StoreError, within a bound."""

    async def tell(self, spent: Mapping[str, Spent], agent: str, promised: Mapping[str, int]) -> None:
        """All that each of these tellers has spent, and all that this agent promises.

        A teller's amount never shrinks: told again, or late, or after all was lost, the most counts, once.
        A promise counts for `PROMISE_KEPT_S` after it was told.
        """

    async def read(self, now: float) -> HourOfAll | None:
        """All that counts at `now`, POSIX seconds; None: nothing has changed since it was read last."""
