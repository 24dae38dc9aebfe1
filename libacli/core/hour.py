"""The characters of an hour: how many the voice was asked for, by whom, and how many more fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_HOUR_S = 3600.0
_SLOTS = 60
_SLOT_S = _HOUR_S / _SLOTS

Spent = Mapping[int, Mapping[str, int]]
"""Characters by minute, counted from 0 on the clock, and by the name that the account has in the hour."""

_Told = tuple[Spent, Mapping[str, int]]
"""What was spent, and what is promised."""

OWNERS_SHARE = 1 / 4
"""Of each hour, kept for the owner: whatever guests do, a line of his own fits."""

CALLERS_SHARE = 1 / 2
"""Of each hour, the most that one guest gets: another one's line fits too."""

OWNER, _OTHERS = "owner", "others"
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
        self.add_in(minute_of(now), amount)

    def add_in(self, minute: int, amount: float) -> None:
        self._slots[minute] = self._slots.get(minute, 0.0) + amount


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
        return wait_s if wait_s < math.inf else _forgotten_at(minute_of(now)) - now


class Hour:
    """At most `limit` characters in any hour, of which a part is kept for the owner.

    All others, guests, share what is left, and none of them has more than half of the whole. What others
    spend of the same hour elsewhere is told by `learn`, and what is to be told to them by `take_news` and
    `promises`; `on_change` is called when there is some. That of other machines is told by `learn_of_others`.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.on_change: Callable[[], None] = lambda: None
        self._cleared_in = 0
        """The minute in which accounts were forgotten last that have spent nothing of this hour."""

        self._news: dict[int, Counter[str]] = {}
        self._taken: Spent = {}
        """Of the news, what may be known elsewhere by now, or not."""

        self._promised: Counter[str] = Counter()
        self._each: dict[str, Window] = {}
        self._here: _Told = ({}, {})
        self._others: _Told = ({}, {})
        self._sum_up()

    def learn(self, spent: Spent, promised: Mapping[str, int]) -> None:
        """All that was spent, the news that were taken included, and what is promised elsewhere.

        What was known of that before is forgotten.
        """
        self._here, self._taken = (spent, promised), {}
        self._sum_up()

    def learn_of_others(self, spent: Spent, promised: Mapping[str, int]) -> None:
        """The same of other machines, which `learn` is not told of."""
        self._others = spent, promised
        self._sum_up()

    def take_news(self) -> Spent:
        """What was spent here since this was asked last."""
        self._taken, self._news = self._news, {}
        return self._taken

    def put_back(self, news: Spent) -> None:
        """Of these it is not known elsewhere yet."""
        self._taken = {}
        for minute, accounts in news.items():
            self._news.setdefault(minute, Counter()).update(accounts)

    def untold(self) -> Spent:
        """What nobody elsewhere has been told of yet."""
        return {minute: dict(accounts) for minute, accounts in self._news.items()}

    def promises(self) -> Mapping[str, int]:
        """What is promised here, by name."""
        return dict(self._promised)

    def shares(self, account: Account) -> Iterator[Share]:
        """All that a request of this account has to fit into, its own share first."""
        if not account.is_owner:
            yield self.share_of(account)
            guests = self._all_promised() - self._promised_to(OWNER)
            yield Share(self._guests, guests, "that are not kept for the owner")
        yield Share(self._all, self._all_promised(), "of this hour")

    def share_of(self, account: Account) -> Share:
        """What one guest has used, and may use."""
        name = self.name_of(account)
        window = self._each.get(name) or Window(self.limit * CALLERS_SHARE)
        return Share(window, self._promised_to(name), "that one caller may use")

    def name_of(self, account: Account) -> str:
        """What the account is called in this hour; ask once for each promise: it may be another one later."""
        if account.is_owner:
            return OWNER
        is_known = any(account.name in known for known in (self._each, self._promised, self._elsewhere))
        is_room = len(self._each) + len(self._promised) < _MOST_ACCOUNTS
        return account.name if is_known or is_room else _OTHERS

    def promise(self, name: str, amount: int) -> None:
        """So much will be asked of the voice for this account; less than nothing: so much will not."""
        self._promised[name] += amount
        if not self._promised[name]:
            del self._promised[name]
        self.on_change()

    def spend(self, name: str, amount: int, now: float) -> None:
        """The voice was asked for so much."""
        minute = minute_of(now)
        if len(self._each) >= _MOST_ACCOUNTS and minute != self._cleared_in:
            self._each = {known: window for known, window in self._each.items() if window.used(now)}
            self._cleared_in = minute
        self._add(name, amount, minute)
        self._news.setdefault(minute, Counter())[name] += amount
        self.on_change()

    def used(self, now: float) -> float:
        """What counts now, the promised included."""
        return self._all.used(now) + self._all_promised()

    def resets_in_s(self, now: float) -> float:
        """Seconds until nothing counts any more, if nothing is added."""
        return _forgotten_at(minute_of(now)) - now if self._all_promised() else self._all.resets_in_s(now)

    def _sum_up(self) -> None:
        self._all, self._guests = Window(self.limit), Window(self.limit * (1 - OWNERS_SHARE))
        self._each = {}
        self._elsewhere = Counter(self._here[1])
        self._elsewhere.update(self._others[1])
        for known in (self._here[0], self._others[0], self._taken, self._news):
            for minute, accounts in known.items():
                for name, amount in accounts.items():
                    self._add(name, amount, minute)

    def _add(self, name: str, amount: int, minute: int) -> None:
        self._each.setdefault(name, Window(self.limit * CALLERS_SHARE)).add_in(minute, amount)
        self._all.add_in(minute, amount)
        if name != OWNER:
            self._guests.add_in(minute, amount)

    def _promised_to(self, name: str) -> float:
        return self._promised[name] + self._elsewhere[name]

    def _all_promised(self) -> float:
        return self._promised.total() + self._elsewhere.total()


def minute_of(now: float) -> int:
    return int(now // _SLOT_S)


def is_forgotten(minute: int, now: float) -> bool:
    """Whether what was spent in that minute counts no more."""
    return _forgotten_at(minute) <= now


def _forgotten_at(slot: int) -> float:
    """An hour after the last moment of its minute."""
    return (slot + 1) * _SLOT_S + _HOUR_S
