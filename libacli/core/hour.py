"""The characters of an hour: how many the voice was asked for, by whom, and how many more fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_HOUR_S = 3600.0
_SLOTS = 60
_SLOT_S = _HOUR_S / _SLOTS

OWNERS_SHARE = 1 / 4
"""Of each hour, kept for the owner: whatever guests do, a line of his own fits."""

CALLERS_SHARE = 1 / 2
"""Of each hour, the most that one guest gets: another one's line fits too."""

_OWNER, _OTHERS = "owner", "others"
_MOST_ACCOUNTS = 1000
"""That are told apart in one hour; all that come after them are one."""


@dataclass(frozen=True)
class Account:
    """Who pays for a request: whose allowance it uses up."""

    name: str
    is_owner: bool = False
    """Has the API secret, and asks for nobody else."""


class Window:
    """Amounts of the last hour, whole minutes of which are forgotten together: at most `limit` in any hour.

    Times are seconds on a clock that never goes back; an amount may be added a little late.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._slots: dict[int, float] = {}

    def used(self, now: float) -> float:
        self._slots = {
            slot: amount for slot, amount in sorted(self._slots.items()) if _forgotten_at(slot) > now
        }
        return sum(self._slots.values())

    def fits_in_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be added: 0, it may be now; infinite, it is more than the limit."""
        excess = self.used(now) + amount - self.limit
        if excess <= 0:
            return 0.0
        for slot, used in self._slots.items():
            excess -= used
            if excess <= 0:
                return _forgotten_at(slot) - now
        return math.inf

    def resets_in_s(self, now: float) -> float:
        return _forgotten_at(max(self._slots)) - now if self.used(now) else 0.0

    def add(self, amount: float, now: float) -> None:
        self._slots[_slot(now)] = self._slots.get(_slot(now), 0.0) + amount


@dataclass(frozen=True)
class Share:
    """A part of the hour that a request has to fit into."""

    window: Window
    promised: float
    """What was accepted for it and not asked of the voice yet."""

    words: str
    """Which part it is."""

    def used(self, now: float) -> float:
        return self.window.used(now) + self.promised

    def fits_in_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be accepted: 0, it may be now; infinite, it never may."""
        if amount > self.window.limit:
            return math.inf
        wait_s = self.window.fits_in_s(self.promised + amount, now)
        # Where it waits for what is promised: as if all of that were spoken now.
        return wait_s if wait_s < math.inf else _forgotten_at(_slot(now)) - now


class Hour:
    """At most `limit` characters in any hour, of which a part is kept for the owner.

    All others, guests, share what is left, and none of them has more than half of the whole.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._all, self._guests = Window(limit), Window(limit * (1 - OWNERS_SHARE))
        self._each: dict[str, Window] = {}
        self._promised: Counter[str] = Counter()

    def shares(self, account: Account) -> Iterator[Share]:
        """All that a request of this account has to fit into, its own share first."""
        if not account.is_owner:
            yield self.share_of(account)
            guests = self._promised.total() - self._promised[_OWNER]
            yield Share(self._guests, guests, "that are not kept for the owner")
        yield Share(self._all, self._promised.total(), "of this hour")

    def share_of(self, account: Account) -> Share:
        """What one guest has used, and may use."""
        name = self._name(account)
        window = self._each.get(name) or Window(self.limit * CALLERS_SHARE)
        return Share(window, self._promised[name], "that one caller may use")

    def promise(self, account: Account, amount: int) -> None:
        """So much will be asked of the voice for this account; less than nothing: so much will not."""
        name = self._name(account)
        self._promised[name] += amount
        if not self._promised[name]:
            del self._promised[name]

    def spend(self, account: Account, amount: float, now: float) -> None:
        """The voice was asked for so much."""
        if len(self._each) >= _MOST_ACCOUNTS:
            self._each = {name: window for name, window in self._each.items() if window.used(now)}
        name = self._name(account)
        self._each.setdefault(name, Window(self.limit * CALLERS_SHARE)).add(amount, now)
        self._all.add(amount, now)
        if name != _OWNER:
            self._guests.add(amount, now)

    def used(self, now: float) -> float:
        """What counts now, the promised included."""
        return self._all.used(now) + self._promised.total()

    def resets_in_s(self, now: float) -> float:
        """Seconds until nothing counts any more, if nothing is added."""
        return self._all.resets_in_s(now) if not self._promised else _forgotten_at(_slot(now)) - now

    def _name(self, account: Account) -> str:
        if account.is_owner:
            return _OWNER
        known = self._each.keys() | self._promised.keys()
        return account.name if account.name in known or len(known) < _MOST_ACCOUNTS else _OTHERS


def _slot(now: float) -> int:
    return int(now // _SLOT_S)


def _forgotten_at(slot: int) -> float:
    """An hour after the last moment of its minute."""
    return (slot + 1) * _SLOT_S + _HOUR_S
