"""Which complaints about others are told: a flood of what is wrong is to be no flood of log lines."""

from __future__ import annotations

from collections import OrderedDict

from libacli.core.caps import Rates

_AGAIN_AFTER_S = 60.0
_SENDERS_KEPT = 256


class Complaints:
    """What is wrong in one way with one sender is told once a minute, and `per_minute` of all in any minute.

    What is not told is counted, and the number told with the next one. Its size is bounded.
    """

    def __init__(self, per_minute: int = 10) -> None:
        # A bucket gives what it holds and what it gains meanwhile: a half of each is the whole.
        self._rates = Rates(per_minute / 2, burst=per_minute // 2)
        self._known: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        """Of sender and kind: when it may be told again, and how many were not told since."""

    def due(self, sender: str, kind: str, now: float) -> int:
        """Takes one more. How many are to be told of now, this one included; 0: it is not told."""
        again_at, untold = self._known.pop((sender, kind), (now, 0))
        is_due = now >= again_at and not self._rates.fits_in_s("", now)
        if is_due:
            self._rates.take("", now)
            self._known[sender, kind] = (now + _AGAIN_AFTER_S, 0)
        else:
            self._known[sender, kind] = (again_at, untold + 1)
        if len(self._known) > _SENDERS_KEPT:
            self._known.popitem(last=False)
        return untold + 1 if is_due else 0
