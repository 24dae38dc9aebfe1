"""How many of the account's conversations run, as whoever asks an agent is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libacli.core.usage import Usage
from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.livekit.signing import wall_clock

LOOK_EVERY_S = 5.0


class ConversationsInUse:
    """Counts those in `ledger` at one service, of which `most` may run; 0: no cap, and nothing is counted.

    `run` looks, until cancelled: to read a disk or a network takes time, and who asks is answered at once.
    """

    def __init__(
        self,
        ledger: ConversationLedger,
        *,
        vendor: str,
        base_url: str,
        most: int,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._ledger = ledger
        self._vendor = vendor
        self._base_url = base_url
        self._most = most
        self._clock = clock
        self._used: int | None = None

    async def run(self) -> None:
        """Looks until cancelled."""
        while self._most:
            probe = Entry("", "", self._base_url, "", vendor=self._vendor, asked_at=self._clock())
            self._used = await asyncio.to_thread(self._ledger.others, probe)
            await asyncio.sleep(LOOK_EVERY_S)

    def usage(self) -> list[Usage]:
        """The cap, if there is one, and it was looked at."""
        if self._used is None:
            return []
        return [Usage("avatars", self._used, self._most, "conversations", 0.0)]
