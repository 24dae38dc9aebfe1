"""What is kept of an hour of characters, so that all agents of a machine, and those after them, count on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from libacli.core.hour import Spent, is_forgotten, minute_of

PROMISE_KEPT_S = 60.0
"""How long a promise counts whose agent says nothing more: it was killed."""

_MOST = 1e12
"""A larger number of characters is none."""


@dataclass(frozen=True)
class Promise:
    """What one agent has accepted and not asked of the voice yet."""

    said_at: float
    """When it said so last: POSIX seconds."""

    accounts: dict[str, int]


@dataclass(frozen=True)
class HourCount:
    """What was spent in the last hour, and what is promised, by agent."""

    spent: dict[int, dict[str, int]] = field(default_factory=dict)
    promised: dict[str, Promise] = field(default_factory=dict)

    def add(self, news: Spent) -> None:
        for minute, accounts in news.items():
            known = self.spent.setdefault(minute, {})
            for name, amount in accounts.items():
                known[name] = known.get(name, 0) + amount

    def promise(self, agent: str, accounts: Mapping[str, int], now: float) -> None:
        """All that this agent promises now."""
        self.promised.pop(agent, None)
        if accounts:
            self.promised[agent] = Promise(now, dict(accounts))

    def promised_by_others(self, agent: str) -> dict[str, int]:
        """By account, what all but this agent promise."""
        summed: dict[str, int] = {}
        for other, promise in self.promised.items():
            for name, amount in promise.accounts.items() if other != agent else ():
                summed[name] = summed.get(name, 0) + amount
        return summed

    def encode(self) -> dict[str, Any]:
        """As JSON members; empty when nothing counts."""
        promised = {
            agent: {"at": promise.said_at, "of": promise.accounts} for agent, promise in self.promised.items()
        }
        spent = {str(minute): accounts for minute, accounts in self.spent.items()}
        return {name: value for name, value in (("spent", spent), ("promised", promised)) if value}

    @classmethod
    def read(cls, members: object, now: float) -> HourCount:
        """What of that counts at `now`, POSIX seconds. What is none of ours is passed over."""
        count = cls()
        found = dict(_items(members))
        for minute, accounts in _items(found.get("spent")):
            # From the future, where the clock was set back since: as if it were spent now.
            at = min(int(minute), minute_of(now)) if minute.isdecimal() and len(minute) < 12 else -1
            if (known := _amounts(accounts)) and not is_forgotten(at, now):
                count.add({at: known})
        for agent, promise in _items(found.get("promised")):
            said = dict(_items(promise))
            said_at, accounts = _number(said.get("at")), _amounts(said.get("of"))
            if accounts and abs(now - said_at) <= PROMISE_KEPT_S:
                count.promised[agent] = Promise(said_at, accounts)
        return count


@dataclass(frozen=True)
class HourOfAll:
    """What all machines have spent in the last hour, and what all agents promise."""

    spent: dict[str, dict[int, dict[str, int]]] = field(default_factory=dict)
    """By teller: a machine, or an agent whose machine cannot keep it."""

    promised: dict[str, dict[str, int]] = field(default_factory=dict)
    """By agent, then by account."""

    def without(self, tellers: Iterable[str], agents: Iterable[str]) -> HourOfAll:
        """What others than these have told."""
        left_out, silent = set(tellers), set(agents)
        return HourOfAll(
            {teller: spent for teller, spent in self.spent.items() if teller not in left_out},
            {agent: promised for agent, promised in self.promised.items() if agent not in silent},
        )

    def grown(self, found: HourOfAll, now: float) -> HourOfAll:
        """What is found, and what was known before and counts still: the most of each."""
        spent: dict[str, dict[int, dict[str, int]]] = {}
        for told in (self.spent, found.spent):
            for teller, minutes in told.items():
                for minute in (one for one in minutes if not is_forgotten(one, now)):
                    known = spent.setdefault(teller, {}).setdefault(minute, {})
                    for name, amount in minutes[minute].items():
                        known[name] = max(amount, known.get(name, 0))
        return HourOfAll(spent, found.promised)

    def summed(self) -> HourCount:
        """All of it, as if one machine had spent it."""
        count = HourCount()
        for spent in self.spent.values():
            count.add(spent)
        for agent, promised in self.promised.items():
            count.promise(agent, promised, 0.0)
        return count


def _items(found: object) -> Iterator[tuple[str, Any]]:
    yield from found.items() if isinstance(found, dict) else ()


def _amounts(found: object) -> dict[str, int]:
    return {name: amount for name, value in _items(found) if (amount := int(_number(value))) > 0}


def _number(value: object) -> float:
    """0 for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST
    return float(value) if is_number else 0.0  # type: ignore[arg-type]
