"""How often LiveKit may be asked: a project of LiveKit Cloud has so many calls a minute for all it runs.

Who has had them is answered 429 (Twirp: `resource_exhausted`) and told when to come back.
https://docs.livekit.io/deploy/admin/quotas-and-limits/
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from libacli.edges.retry_after import retry_after_s
from libacli.errors import OverQuotaError

logger = logging.getLogger("liba.livekit")

PATIENCE_S = 75.0
"""For one call: a minute, after which any quota of a minute is new, and a little."""

_LEAST_PAUSE_S = 0.25
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
"""Where the server does not say when; it doubles each time."""

_SPREAD = 0.1
"""Who was told the same does not come back at the same moment."""


class Quota:
    """Holds back all calls of one client while LiveKit takes none, each for `patience_s` at most."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._open_at = 0.0
        self._bounds: set[asyncio.Timeout] = set()

    async def wait(self) -> None:
        """Returns when LiveKit may be asked again."""
        while (left_s := self._open_at - _now()) > 0:  # noqa: ASYNC110 - another call may put it off
            await asyncio.sleep(left_s)

    def met(self, headers: Mapping[str, str], *, tries: int, asked_at: float) -> None:
        """LiveKit has refused a call, first made at `asked_at`, for the `tries`th time, with `headers`.

        Raises OverQuotaError when waiting on would take longer than its patience.
        """
        pause_s = retry_after_s(headers)
        if pause_s is None:
            pause_s = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
        pause_s = max(pause_s, _LEAST_PAUSE_S)
        open_at = max(self._open_at, _now() + pause_s * random.uniform(1, 1 + _SPREAD))
        if open_at > asked_at + self._patience_s:
            raise OverQuotaError(
                "LiveKit takes no more calls for now: the project's quota is used up",
                hint=f"try again in {pause_s:.0f} s, or ask LiveKit for a higher one",
                retry_in_s=pause_s,
            )
        held_s = open_at - max(self._open_at, _now())
        if held_s:
            logger.warning("LiveKit takes no more calls for %.0f s: the project's quota is used up", pause_s)
        self._open_at = open_at
        for bound in self._bounds:
            if (ends_at := bound.when()) is not None and not bound.expired():
                bound.reschedule(ends_at + held_s)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """As `asyncio.timeout`, but for the time in which LiveKit takes no calls."""
        async with asyncio.timeout_at(max(_now(), self._open_at) + seconds) as bound:
            self._bounds.add(bound)
            try:
                yield
            finally:
                self._bounds.discard(bound)


def _now() -> float:
    return asyncio.get_running_loop().time()
