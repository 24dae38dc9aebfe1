"""For how long an avatar was in a room: it costs by the minute, whatever is said."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_DAY_S = 86_400


@dataclass(frozen=True)
class AvatarTime:
    """A stretch of time in which a room had an avatar, on one day (UTC)."""

    began: float
    """POSIX seconds, as is `ended`."""

    ended: float
    seconds: float
    """Of avatar time: more than there are between the two where one takes over from another."""

    room: str = ""
    vendor: str = ""
    """Whose avatar it is; `LOCAL` is that of this machine."""

    def after(self, seconds: float, now: float) -> AvatarTime:
        """With `seconds` more, at `now`. A new one where another day has begun."""
        if math.isinf(self.began) or now // _DAY_S != self.ended // _DAY_S:
            return replace(self, began=now - seconds, ended=now, seconds=seconds)
        return replace(self, ended=max(now, self.ended), seconds=self.seconds + seconds)

    def seconds_in(self, since: float = -math.inf, until: float = math.inf) -> float:
        """How much of it lies between two moments."""
        whole = self.ended - self.began
        if whole <= 0:
            return self.seconds if since <= self.began < until else 0.0
        shared = min(self.ended, until) - max(self.began, since)
        return self.seconds * max(0.0, min(1.0, shared / whole))


LOCAL = "local"
"""The vendor of an avatar that costs nothing."""
