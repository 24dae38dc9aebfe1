"""The hour of characters of all machines: each tells what its own file has, and learns what others' have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from libacli.core.hour import Hour, Spent
from libacli.core.hour_count import PROMISE_KEPT_S, HourOfAll
from libacli.edges.livekit.hour_file import HourFile
from libacli.edges.livekit.hour_port import HourStore
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.signing import wall_clock
from libacli.errors import StoreError

_LOOK_S = 0.5
"""Between two exchanges: so much later, twice, another machine knows what is spent here."""

_REFRESH_S = 20.0
"""Between two times that all is told again: promises end without it, and a store may have lost everything."""

_ENDS_S = 1.0
"""For the first look, and the last word: a room is not to wait longer for a store that is gone."""


class SharedHour:
    """Keeps `hour` in step with other machines through `store`; beside `file`, which does so on this one.

    Implements `HourKeeper`. `machine` is what the count of `file` goes by; where that cannot be written, what
    this agent has spent goes by its own name. What others have told counts on while the store is gone.
    """

    def __init__(
        self,
        store: HourStore,
        hour: Hour,
        file: HourFile,
        *,
        machine: str,
        agent: str,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._store = store
        self._hour = hour
        self._file = file
        self._machine = machine
        self._agent = agent
        self._clock = clock
        self._told: tuple[Mapping[str, Spent], Mapping[str, int]] = ({}, {})
        self._told_at = self._read_at = 0.0
        self._known = HourOfAll()

    async def load(self) -> None:
        """See `HourKeeper`."""
        await self._exchange(self._hour.promises(), within_s=_ENDS_S)

    async def run(self) -> None:
        """See `HourKeeper`."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await to_the_end(self._exchange(self._hour.promises()))

    async def aclose(self) -> None:
        """See `HourKeeper`."""
        await to_the_end(self._exchange({}, within_s=_ENDS_S))

    async def _exchange(self, promises: Mapping[str, int], *, within_s: float | None = None) -> None:
        now = self._clock()
        with suppress(StoreError, TimeoutError):  # whoever watches over the store says so, once
            async with asyncio.timeout(within_s):
                await self._tell(promises, now)
                if found := await self._store.read(now):
                    self._known = self._known.grown(found, now)
                self._read_at = now
        if now - self._read_at > PROMISE_KEPT_S:
            self._known = HourOfAll(self._known.spent)
        mine = (self._machine, self._agent)
        others = self._known.without(mine, {*self._file.count.promised, self._agent}).summed()
        self._hour.learn_of_others(others.spent, others.promised_by_others(self._agent))

    async def _tell(self, promises: Mapping[str, int], now: float) -> None:
        """Tells what is new, and all of it now and then."""
        spent: dict[str, Spent] = {self._machine: self._file.count.spent}
        if self._file.is_failing:
            spent[self._agent] = self._hour.untold()
        known, told_promises = self._told
        is_due = now - self._told_at > _REFRESH_S and (any(spent.values()) or bool(promises))
        new = spent if is_due else {teller: _news(known.get(teller, {}), spent[teller]) for teller in spent}
        if is_due or any(new.values()) or promises != told_promises:
            await self._store.tell(new, self._agent, promises)
            self._told, self._told_at = (spent, promises), now


def _news(told: Spent, spent: Spent) -> Spent:
    """The minutes in which something was spent since it was told."""
    return {minute: accounts for minute, accounts in spent.items() if told.get(minute) != accounts}
