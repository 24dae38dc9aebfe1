"""How much each sender may ask for, whoever it is: looked at before anything that it asks is read."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, TypeAlias

from libacli.core.caps import Rates

PER_SECOND = 50
"""Requests of one sender that are read: more than anybody needs, and less than anybody notices."""

AT_ONCE = 128
FLOOD_S = 5
"""Whoever goes on with more than `PER_SECOND` for so long does so on purpose, or is broken."""

_SENDERS_KEPT = 256
_LONGEST_STALL_S = 2
"""What came while the loop stood still is counted in the second after it, for so long at most."""

Passage: TypeAlias = Literal["admitted", "left out", "flooding"]
"""Of a request: it is read, or not; or not, and its sender has gone on with too many for too long."""


@dataclass
class _Second:
    """What one sender has sent lately."""

    began_at: float
    count: int = 0
    seconds_of_flood: int = 0


class Gate:
    """Lets `at_once` requests of each sender through, then `per_second`. Its size is bounded."""

    def __init__(self, *, per_second: int = PER_SECOND, at_once: int = AT_ONCE) -> None:
        self._per_second = per_second
        self._rates = Rates(per_second * 60, burst=at_once)
        self._seconds: OrderedDict[str, _Second] = OrderedDict()

    def take(self, sender: str, now: float) -> Passage:
        """What is to become of one more request; a flood is told of once in `FLOOD_S`."""
        if self._is_flooding(sender, now):
            return "flooding"
        if self._rates.fits_in_s(sender, now):
            return "left out"
        self._rates.take(sender, now)
        return "admitted"

    def _is_flooding(self, sender: str, now: float) -> bool:
        second = self._seconds.setdefault(sender, _Second(now))
        self._seconds.move_to_end(sender)
        if len(self._seconds) > _SENDERS_KEPT:
            self._seconds.popitem(last=False)
        if (passed := int(now - second.began_at)) >= 1:
            is_flood = second.count > self._per_second * passed and passed <= _LONGEST_STALL_S
            second.seconds_of_flood = second.seconds_of_flood + passed if is_flood else 0
            second.began_at += passed
            second.count = 0
        second.count += 1
        if second.seconds_of_flood < FLOOD_S:
            return False
        second.seconds_of_flood = 0
        return True
