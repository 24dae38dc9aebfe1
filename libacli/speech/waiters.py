"""Who waits for utterances to get somewhere: an answer that is given late spares a hundred questions."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from libacli.core.event import Event, Rejection
from libacli.core.lifecycle import is_decided

_OF_ONE_ACCOUNT = 64
_ALTOGETHER = 512
"""Each is a call that LiveKit holds open for up to three seconds."""


@dataclass(eq=False)
class _Waiter:
    level: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)


class Waiters:
    """Lets callers wait for an utterance. An outlet: it hears of every change.

    At most 64 callers of one account wait, and 512 altogether: who comes then is not kept.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._accounts: Counter[str] = Counter()

    def take_event(self, event: Event | Rejection) -> None:
        """See `Outlet`."""
        if isinstance(event, Event):
            for waiter in self._waiting.get(event.report.id, ()):
                if is_decided(event.report.state, waiter.level):
                    waiter.reached.set()

    async def wait(self, utterance_id: str, level: str, *, account: str, within_s: float) -> None:
        """Returns when nothing is to be waited for any more, when the time is over, or at once: see above."""
        if self._accounts[account] >= _OF_ONE_ACCOUNT or self._accounts.total() >= _ALTOGETHER:
            return
        with self._kept(utterance_id, _Waiter(level), account) as waiter:
            try:
                async with asyncio.timeout(within_s):
                    await waiter.reached.wait()
            except TimeoutError:
                return

    @contextmanager
    def _kept(self, utterance_id: str, waiter: _Waiter, account: str) -> Iterator[_Waiter]:
        self._waiting[utterance_id].add(waiter)
        self._accounts[account] += 1
        try:
            yield waiter
        finally:
            self._waiting[utterance_id].discard(waiter)
            if not self._waiting[utterance_id]:
                del self._waiting[utterance_id]
            self._accounts[account] -= 1
            if not self._accounts[account]:
                del self._accounts[account]
