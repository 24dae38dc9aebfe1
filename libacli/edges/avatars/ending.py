"""Ending conversations, whatever happens meanwhile: each costs money until then."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import replace

from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.port import AvatarService
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.signing import wall_clock
from libacli.errors import AvatarError

logger = logging.getLogger("liba.avatar")

LAST_LOOK_S = 120.0
"""So long after it was asked for, one that is listed nowhere was not begun: no service takes longer."""

_END_TRIES = 2
"""The second one is for an answer that was lost: more than half a bound each would leave it no time."""

_END_TIMEOUT_S = 4.0
"""For all tries: what a worker that is told to stop has left of its 15 s after 10 s of speech, less the half
second in which an avatar that does not go is put out."""


class Trace(enum.Enum):
    """What is left of a conversation whose creation got no answer."""

    NONE = enum.auto()
    """No conversation of its name runs."""

    ENDED = enum.auto()
    """It ran, and was ended."""

    UNKNOWN = enum.auto()
    """The service could not be asked, or did not end it."""


async def end_surely(service: AvatarService, ledger: ConversationLedger, entry: Entry) -> bool:
    """Ends a conversation, in the face of cancellation too; it stays in the ledger if that failed."""
    return await to_the_end(_end_with_retries(service, ledger, entry))


async def end_by_name(
    service: AvatarService, ledger: ConversationLedger, entry: Entry, *, is_last_look: bool = False
) -> Trace:
    """Looks whether a conversation was begun although its answer was lost, and ends it.

    It stays in the ledger unless it has ended, or was not there at the last look: a service that is slow
    begins one when nobody waits for its answer any more.
    """
    if not service.vendor.can_find:
        await asyncio.to_thread(ledger.forget, entry)
        return Trace.NONE
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            begun = await service.find(entry.name)
    except (AvatarError, TimeoutError) as error:
        reason = str(error) or "no answer"
        logger.error("cannot tell whether %s was begun: %s; it is looked for again", entry.name, reason)
        return Trace.UNKNOWN
    are_ended = [await end_surely(service, ledger, replace(entry, id=found)) for found in begun]
    if not all(are_ended):  # the end of one has crossed out the entry of all
        await asyncio.to_thread(ledger.write, entry)
        return Trace.UNKNOWN
    if begun:
        return Trace.ENDED
    if is_last_look:
        await asyncio.to_thread(ledger.forget, entry)
    return Trace.NONE


async def end_orphans(
    service: AvatarService, ledger: ConversationLedger, *, clock: Callable[[], float] = wall_clock
) -> int:
    """Ends this service's conversations that agents which are gone have left behind; returns how many.

    One that may still come into being stays noted down.
    """
    whose = (service.vendor.name, service.base_url)
    orphans = [entry for entry in ledger.orphans() if (entry.vendor, entry.base_url) == whose]
    return sum([await end_left(service, ledger, entry, clock()) for entry in orphans])


async def end_left(service: AvatarService, ledger: ConversationLedger, entry: Entry, now: float) -> bool:
    """Ends one that was left behind, unless somebody else does; whether it was ended here."""
    if not await asyncio.to_thread(ledger.claim, entry):
        return False
    try:
        if entry.id:
            return await end_surely(service, ledger, entry)
        is_last_look = now - entry.asked_at >= LAST_LOOK_S
        return await end_by_name(service, ledger, entry, is_last_look=is_last_look) is Trace.ENDED
    finally:
        await to_the_end(asyncio.to_thread(ledger.release, entry))


async def _end_with_retries(service: AvatarService, ledger: ConversationLedger, entry: Entry) -> bool:
    if not service.vendor.can_end:
        await asyncio.to_thread(ledger.forget, entry)
        return True
    for attempt in range(_END_TRIES):
        try:
            async with asyncio.timeout(_END_TIMEOUT_S / _END_TRIES):
                await service.end(entry.id)
        except (AvatarError, TimeoutError) as error:
            logger.warning("conversation %s was not ended: %s", entry.id, str(error) or "no answer")
            await asyncio.sleep(0.2 * attempt)
        else:
            await asyncio.to_thread(ledger.forget, entry)
            return True
    logger.error("conversation %s may still run and cost money: liba reap", entry.id)
    return False
