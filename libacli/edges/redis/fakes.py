"""What machines share without a Redis, shipped so that whoever builds on these ports can test without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from libacli.core.hour import Spent, is_forgotten
from libacli.core.hour_count import PROMISE_KEPT_S, HourOfAll, Promise
from libacli.errors import StoreError


@dataclass
class FakeShared:
    """One place that several machines' stores are of. `clock` is in POSIX seconds."""

    clock: Callable[[], float]
    is_gone: bool = False
    """Whether all that is asked of it fails."""

    spent: dict[tuple[str, int, str], int] = field(default_factory=dict)
    promised: dict[str, Promise] = field(default_factory=dict)
    used: dict[tuple[date, str], dict[str, float]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    failed_at: float = float("-inf")
    lock: threading.RLock = field(default_factory=threading.RLock)

    def lose_everything(self) -> None:
        """As one without a disk does that is started again."""
        for kept in (self.spent, self.promised, self.used, self.texts, self.leases, self.claims, self.ended):
            kept.clear()

    @contextmanager
    def asking(self) -> Iterator[None]:
        with self.lock:
            if self.is_gone:
                self.failed_at = self.clock()
                raise StoreError("it is gone")
            yield


@dataclass
class FakeHour:
    """Implements `HourStore`."""

    shared: FakeShared

    async def tell(self, spent: Mapping[str, Spent], agent: str, promised: Mapping[str, int]) -> None:
        """See `HourStore`."""
        with self.shared.asking():
            for teller, minutes in spent.items():
                for minute, accounts in minutes.items():
                    for name, amount in accounts.items():
                        place = (teller, minute, name)
                        self.shared.spent[place] = max(amount, self.shared.spent.get(place, 0))
            self.shared.promised.pop(agent, None)
            if promised:
                self.shared.promised[agent] = Promise(self.shared.clock(), dict(promised))

    async def read(self, now: float) -> HourOfAll | None:
        """See `HourStore`."""
        found = HourOfAll()
        with self.shared.asking():
            for (teller, minute, name), amount in self.shared.spent.items():
                if not is_forgotten(minute, now):
                    found.spent.setdefault(teller, {}).setdefault(minute, {})[name] = amount
            for agent, promise in self.shared.promised.items():
                if self.shared.clock() - promise.said_at <= PROMISE_KEPT_S:
                    found.promised[agent] = promise.accounts
        return found


@dataclass
class FakeMinutes:
    """Implements `MinutesStore`."""

    shared: FakeShared

    async def exchange(
        self, day: date, machine: str, room: str, seconds: float, room_seconds: float
    ) -> tuple[float, float]:
        """See `MinutesStore`."""
        others = []
        with self.shared.asking():
            for place, told in (("", seconds), (f"room {room}", room_seconds)):
                used = self.shared.used.setdefault((day, place), {})
                used[machine] = max(told, used.get(machine, 0.0))
                others.append(sum(used.values()) - used[machine])
        return others[0], others[1]


@dataclass
class FakeConversations:
    """Implements `ConversationStore`."""

    shared: FakeShared
    lease_s: float = 60.0

    @property
    def answers_for_s(self) -> float:
        """See `ConversationStore`."""
        return self.shared.clock() - self.shared.failed_at

    def enter(self, name: str, text: str, owner: str, *, most: int, longest_s: float) -> bool:
        """See `ConversationStore`."""
        with self.shared.asking():
            if most and self._others(name, longest_s) >= most:
                return False
            self.shared.texts[name] = text
            if owner:
                self._renew(owner)
        return True

    def others(self, name: str, *, longest_s: float) -> int:
        """See `ConversationStore`."""
        with self.shared.asking():
            return self._others(name, longest_s)

    def show(self, owner: str, machine: str, texts: Mapping[str, str]) -> None:
        """See `ConversationStore`."""
        with self.shared.asking():
            for name, text in list(self.shared.texts.items()):
                if json.loads(text)["machine"] == machine and name not in texts:
                    del self.shared.texts[name]
            for name, text in texts.items():
                if json.loads(text)["owner"] == owner and name not in self.shared.ended:
                    self.shared.texts[name] = text
                    self._renew(owner)

    def lapsed(self) -> list[str]:
        """See `ConversationStore`."""
        with self.shared.asking():
            return [text for text in self.shared.texts.values() if not self._lives(json.loads(text)["owner"])]

    def claim(self, name: str, owner: str, claimer: str, *, is_gone: bool) -> str:
        """See `ConversationStore`; a claim that is not given back holds for ever."""
        with self.shared.asking():
            if name in self.shared.ended:
                return "ended"
            if self._lives(owner) and not is_gone:
                return "alive"
            is_new = name not in self.shared.claims
            self.shared.claims.setdefault(name, claimer)
            return "yours" if is_new else "taken"

    def release(self, name: str, claimer: str) -> None:
        """See `ConversationStore`."""
        with self.shared.asking():
            if self.shared.claims.get(name) == claimer:
                del self.shared.claims[name]

    def forget(self, name: str, *, is_others: bool) -> None:
        """See `ConversationStore`."""
        with self.shared.asking():
            self.shared.texts.pop(name, None)
            self.shared.claims.pop(name, None)
            if is_others:
                self.shared.ended.add(name)

    def let_go(self, owner: str) -> None:
        """See `ConversationStore`."""
        with self.shared.asking():
            self.shared.leases.pop(owner, None)

    def close(self) -> None:
        """See `ConversationStore`."""

    def _others(self, name: str, longest_s: float) -> int:
        others = [json.loads(other) for one, other in self.shared.texts.items() if one != name]
        return sum(self.shared.clock() - other["asked_at"] < longest_s for other in others)

    def _renew(self, owner: str) -> None:
        self.shared.leases[owner] = self.shared.clock() + self.lease_s

    def _lives(self, owner: str) -> bool:
        return self.shared.leases.get(owner, float("-inf")) >= self.shared.clock()
