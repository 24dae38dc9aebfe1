"""Who watches by tokens that sessions have asked for: how many of those are live, and who has to leave."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from libacli.core.entry import Session
from libacli.errors import LibaError, StoreError
from libacli.web.memory_stores import MemoryTokens
from libacli.web.ports import Gateway
from libacli.web.problems import Problem
from libacli.web.stores import TokenStore

logger = logging.getLogger("liba.web")

MOST_LIVE_TOKENS = 5
"""Of one session: enough for a browser that is loaded anew and anew, too few to hand out."""

_LOOK_S = 5.0
"""Between two looks for who has to leave: so long somebody sees who comes back with a token that is live."""

_ROOMS_A_LOOK = 4
"""So many rooms are looked into at once, by turns: 48 calls a minute, however many sessions have ended."""

_LEEWAY_S = 60.0
"""How long after its end LiveKit takes a token: clocks may differ by so much."""


class Viewers:
    """Counts the tokens of sessions, and sees to it that none outlasts its session.

    LiveKit renews the token of whoever is connected, so who is inside stays until he is put out; and who was
    put out comes in again as long as one of his tokens is live. So each viewer of a session that has ended is
    put out, and again, until they have all expired. `max_valid_for_s` is the longest life of a token. What
    servers share is in `store`; one of them at a time looks for who has to leave. All but `run` raise
    StoreError.
    """

    def __init__(
        self,
        gateway: Gateway,
        store: TokenStore | None = None,
        *,
        max_valid_for_s: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._store = store or MemoryTokens()
        self._max_valid_for_s = max_valid_for_s
        self._now = now
        self._looked_at: dict[str, float] = {}
        """When a room with somebody who has to leave was looked into last."""

        self._is_told = False
        """Whether it stands in the log that LiveKit puts nobody out."""

    async def count_token(self, session: Session, wanted_s: float) -> int:
        """Seconds that a token for `session` may be valid; from now on it counts as live for so long.

        Raises Problem when there are as many as may be.
        """
        now = self._now()
        valid_for_s = math.floor(min(wanted_s, self._max_valid_for_s, session.expires_at - now))
        if valid_for_s < 1:
            raise Problem(401, "unauthorized", "this session ends now", hint="get a new link")
        until = now + valid_for_s
        free_at = await self._store.count(session, until, most=MOST_LIVE_TOKENS, now=now)
        if free_at is not None:
            raise Problem(
                429,
                "too_many_tokens",
                f"this session has {MOST_LIVE_TOKENS} tokens that are valid",
                hint="use one of those, or wait until one has expired",
                retry_in_s=free_at - now,
            )
        return valid_for_s

    async def live_tokens(self, session: Session) -> int:
        """How many tokens of `session` are valid now."""
        return await self._store.live(session.identity, self._now())

    async def dismiss(self, session: Session) -> None:
        """`session` has ended: whoever came in by it has to leave. `put_out` and `run` see to that."""
        await self._store.dismiss(session, leeway_s=_LEEWAY_S)

    async def put_out(self) -> None:
        """Puts out whoever has to leave and is there; where LiveKit cannot be reached, the next time.

        Of many rooms only some, those first that were not looked into for longest.
        """
        began_at = self._now()
        rooms: defaultdict[str, list[str]] = defaultdict(list)
        everybody = await self._store.leaving()
        for leaving in everybody:
            rooms[leaving.room].append(leaving.identity)
        over = {leaving.identity for leaving in everybody if leaving.until <= began_at}
        self._looked_at = {room: self._looked_at.get(room, -math.inf) for room in rooms}
        for room in sorted(rooms, key=self._looked_at.__getitem__)[:_ROOMS_A_LOOK]:
            identities, self._looked_at[room] = rooms[room], began_at
            try:
                await self._gateway.put_out(room, identities)
            except LibaError as error:
                level = logging.DEBUG if self._is_told else logging.WARNING
                logger.log(level, "viewers whose sessions have ended are not put out yet: %s", error)
                self._is_told = True
                continue
            self._is_told = False
            if gone := over.intersection(identities):
                await self._store.forget(gone)

    async def run(self, end_expired: Callable[[], Awaitable[None]]) -> None:
        """Looks after them until cancelled. `end_expired` notices which sessions have ended by themselves."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await end_expired()
                if await self._store.take_turn(_LOOK_S * 0.9):
                    await self.put_out()
            except StoreError:
                continue  # told already, by whoever watches it
            except Exception as error:  # a defect here must not end the server
                logger.error("putting viewers out failed", exc_info=error)
