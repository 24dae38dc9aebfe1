"""Ending conversations, whatever happens meanwhile: each costs money until then."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.port import AvatarService
from libacli.edges.livekit.joining import to_the_end
from libacli.errors import AvatarError

logger = logging.getLogger("liba.avatar")

_END_TRIES = 2
"""The second one is for an answer that was lost: more than half a bound each would leave it no time."""

_END_TIMEOUT_S = 4.0
"""For all tries: what a worker that is told to stop has left of its 15 s after 10 s of speech, less the half
second in which an avatar that does not go is put out."""


async def end_surely(service: AvatarService, ledger: Ledger, entry: Entry) -> bool:
    """Ends a conversation, in the face of cancellation too; it stays in the ledger if that failed."""
    return await to_the_end(_end_with_retries(service, ledger, entry))


async def end_by_name(service: AvatarService, ledger: Ledger, entry: Entry) -> None:
    """Looks whether a conversation was begun although its answer was lost, and ends it."""
    if service.vendor.can_find:
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                begun = await service.find(entry.name)
        except (AvatarError, TimeoutError) as error:
            logger.error("cannot tell whether %s was begun: %s; `liba reap` will", entry.name, error)
            return
        are_ended = [await end_surely(service, ledger, replace(entry, id=found)) for found in begun]
        if not all(are_ended):  # the end of one has crossed out the entry of all
            await asyncio.to_thread(ledger.write, entry)
            return
    await asyncio.to_thread(ledger.forget, entry)


async def end_orphans(service: AvatarService, ledger: Ledger) -> int:
    """Ends this service's conversations that agents which are gone have left behind; how many there were."""
    whose = (service.vendor.name, service.base_url)
    orphans = [entry for entry in ledger.orphans() if (entry.vendor, entry.base_url) == whose]
    for entry in orphans:
        await (end_surely if entry.id else end_by_name)(service, ledger, entry)
    return len(orphans)


async def _end_with_retries(service: AvatarService, ledger: Ledger, entry: Entry) -> bool:
    if not service.vendor.can_end:
        await asyncio.to_thread(ledger.forget, entry)
        return True
    for attempt in range(_END_TRIES):
        try:
            async with asyncio.timeout(_END_TIMEOUT_S / _END_TRIES):
                await service.end(entry.id)
        except (AvatarError, TimeoutError) as error:
            logger.warning("conversation %s was not ended: %s", entry.id, error or "no answer")
            await asyncio.sleep(0.2 * attempt)
        else:
            await asyncio.to_thread(ledger.forget, entry)
            return True
    logger.error("conversation %s may still run and cost money: liba reap", entry.id)
    return False
