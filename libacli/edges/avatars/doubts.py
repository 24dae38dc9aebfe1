"""Conversations that may run although nobody knows them, or could not be ended: nothing is forgotten."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from libacli.edges.avatars.ending import LAST_LOOK_S, Trace, end_by_name, end_surely
from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.port import AvatarService
from libacli.errors import LibaError

logger = logging.getLogger("liba.avatar")

_LOOKS_S = (30.0, LAST_LOOK_S)
"""When one is looked for, in seconds after it was asked for; a create that hangs may be carried out late."""

_THEN_EVERY_S = 300.0
"""While the service cannot be asked, or does not end it."""


class Doubts:
    """Follows each such conversation until it is known to be over. `run` until cancelled.

    What it has not settled by then stays in the ledger, for whoever reaps next. `on_ended` is told of an
    entry that ran unknown until now.
    """

    def __init__(
        self, service: AvatarService, ledger: ConversationLedger, *, on_ended: Callable[[Entry], None]
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._on_ended = on_ended
        self._new: asyncio.Queue[tuple[Entry, float]] = asyncio.Queue()
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()

    def add(self, entry: Entry, asked_at: float) -> None:
        """From now on this one is followed; `asked_at` is on the loop's clock."""
        self._open += 1
        self._settled.clear()
        self._new.put_nowait((entry, asked_at))

    async def settled(self) -> None:
        """Waits until none is open any more."""
        await self._settled.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._follow(*await self._new.get()))

    async def _follow(self, entry: Entry, asked_at: float) -> None:
        loop = asyncio.get_running_loop()
        for look_s in itertools.chain(_LOOKS_S, itertools.count(LAST_LOOK_S + _THEN_EVERY_S, _THEN_EVERY_S)):
            await asyncio.sleep(max(0.0, asked_at + look_s - loop.time()))
            try:
                if await self._is_settled(entry, is_last_look=look_s >= LAST_LOOK_S):
                    break
            except LibaError as error:  # of the disk: the avatar that is there now does not need it
                logger.error("%s is looked for again: %s", entry.name, error)
        self._open -= 1
        if not self._open:
            self._settled.set()

    async def _is_settled(self, entry: Entry, *, is_last_look: bool) -> bool:
        if entry.id:
            return await end_surely(self._service, self._ledger, entry)
        trace = await end_by_name(self._service, self._ledger, entry, is_last_look=is_last_look)
        if trace is Trace.ENDED:
            self._on_ended(entry)
        return trace is Trace.ENDED or (trace is Trace.NONE and is_last_look)
