"""How many calls of LiveKit's API a watcher may make: the project's quota is there for those who speak."""

from __future__ import annotations

import asyncio

_AT_ONCE = 10
"""One call in so many may come at once with others; the rest are spread over the minute."""


class CallBudget:
    """`per_minute` calls in any minute, at least 2; in the order in which they were asked for."""

    def __init__(self, per_minute: int) -> None:
        self._burst = max(1, per_minute // _AT_ONCE)
        self.interval_s = 60 / max(1, per_minute - self._burst)
        """Between two calls, once as many as may come at once have come."""

        self._used_until = 0.0

    async def spend(self) -> None:
        """Returns when one more call may be made."""
        now = asyncio.get_running_loop().time()
        self._used_until = max(self._used_until, now) + self.interval_s
        await asyncio.sleep(max(0.0, self._used_until - now - self._burst * self.interval_s))
