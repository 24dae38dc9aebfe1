"""Ending conversations, whatever happens meanwhile: each costs money until then."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.joining import to_the_end
from libacli.errors import AvatarError

logger = logging.getLogger("liba.avatar")

_END_TRIES = 2
_END_TIMEOUT_S = 4.5


async def end_surely(tavus: Tavus, ledger: Ledger, entry: Entry) -> bool:
    """Ends a conversation, in the face of cancellation too; it stays in the ledger if that failed."""
    return await to_the_end(_end_with_retries(tavus, ledger, entry))


async def end_by_name(tavus: Tavus, ledger: Ledger, entry: Entry) -> None:
    """Looks whether a conversation was begun although its answer was lost, and ends it."""
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            begun = [found for found in await tavus.active() if found.name == entry.name]
    except (AvatarError, TimeoutError) as error:
        logger.error("cannot tell whether %s was begun: %s; `liba reap` will", entry.name, error)
        return
    for found in begun:
        await end_surely(tavus, ledger, replace(entry, id=found.id))
    ledger.forget(entry)


async def _end_with_retries(tavus: Tavus, ledger: Ledger, entry: Entry) -> bool:
    for attempt in range(_END_TRIES):
        try:
            async with asyncio.timeout(_END_TIMEOUT_S / _END_TRIES):
                await tavus.end(entry.id)
        except (AvatarError, TimeoutError) as error:
            logger.warning("conversation %s was not ended: %s", entry.id, error or "no answer")
            await asyncio.sleep(0.2 * attempt)
        else:
            ledger.forget(entry)
            return True
    logger.error("conversation %s may still run and cost money: liba reap", entry.id)
    return False
