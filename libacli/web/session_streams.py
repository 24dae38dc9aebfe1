"""Event streams that last no longer than the session whose they are, whichever server has ended that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from libacli.core.entry import Session
from libacli.errors import StoreError
from libacli.web.sessions import Sessions

logger = logging.getLogger("liba.web")

_LOOK_S = 1.0
"""So soon a stream ends whose session was ended elsewhere."""

_Item = TypeVar("_Item")


class StreamEnd:
    """When a stream has to end: after `valid_for_s`, if that is known, or `now`."""

    def __init__(self, valid_for_s: float | None = None) -> None:
        self._now = asyncio.get_running_loop().time
        self._at = None if valid_for_s is None else self._now() + valid_for_s
        self._waiting: asyncio.Timeout | None = None

    def now(self) -> None:
        """It has to end at once, also while it waits for something to tell."""
        self._at = self._now()
        if self._waiting:
            self._waiting.reschedule(self._at)

    async def cut(self, items: AsyncIterator[_Item]) -> AsyncIterator[_Item]:
        """`items`, until they end or have to."""
        with suppress(StopAsyncIteration, TimeoutError):
            while True:
                async with asyncio.timeout_at(self._at) as self._waiting:
                    try:
                        item = await anext(items)
                    finally:
                        self._waiting = None
                yield item


class SessionStreams:
    """The open event streams of sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._open: dict[StreamEnd, Session] = {}

    @contextmanager
    def one_more(self, session: Session | None, end: StreamEnd) -> Iterator[None]:
        """A stream is open inside, and is to `end` with its session, if it is one's."""
        if session:
            self._open[end] = session
        try:
            yield
        finally:
            self._open.pop(end, None)

    async def end_those_that_are_over(self) -> None:
        """Raises StoreError."""
        over = {session.digest for session in await self._sessions.ended(self._open.values())}
        for end, session in list(self._open.items()):
            if session.digest in over:
                end.now()

    async def run(self) -> None:
        """Looks after them until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self.end_those_that_are_over()
            except StoreError:
                continue  # what is not known ends nothing
            except Exception as error:  # a defect here must not end the server
                logger.error("looking for sessions that have ended failed", exc_info=error)
