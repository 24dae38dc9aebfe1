"""What agents that are gone have left behind: conversations that cost money until somebody ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libacli.config import Settings
from libacli.edges.avatars.choose import make_avatar_service
from libacli.edges.avatars.ending import Toll, end_orphans
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.reaping import end_lapsed, whom_agents_need
from libacli.errors import LibaError, StoreError
from libacli.shared_counts import SharedCounts

logger = logging.getLogger("liba.agent")

_REAP_TIMEOUT_S = 60.0
"""For what earlier agents have left behind, before the first room is taken."""


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[ConversationLedger]:
    """In which there is nothing any more that earlier workers have left behind, as far as it is known yet."""
    shared = SharedCounts(settings)
    ledger = shared.ledger()
    try:
        await end_leftovers(settings, ledger, within_s=_REAP_TIMEOUT_S)
        yield ledger
    finally:
        await asyncio.to_thread(ledger.close)
        await shared.aclose()


def has_leftovers(ledger: ConversationLedger) -> bool:
    """By agents that are gone, or seem to be."""
    try:
        return bool(ledger.orphans() or ledger.lapsed())
    except StoreError:  # said once, by who watches over Redis
        return False


async def end_leftovers(
    settings: Settings, ledger: ConversationLedger, *, within_s: float, everywhere: bool = False
) -> None:
    """Of this machine, which takes a moment; `everywhere`: of others too, whose agents have to be asked."""
    try:
        async with asyncio.timeout(within_s):
            if count := await reap(settings, ledger, everywhere=everywhere):
                logger.warning("ended %d conversations that an earlier agent had left behind", count)
    except StoreError:
        pass  # said once, by who watches over Redis; asked again at the next look
    except (LibaError, TimeoutError) as error:
        reason = str(error) or "no answer"
        logger.warning("could not end what an earlier agent left behind: %s; liba reap", reason)


async def reap(settings: Settings, ledger: ConversationLedger, *, everywhere: bool) -> int:
    """Ends the conversations that agents which are gone have left behind; returns how many those were.

    `everywhere`: also those of other machines that no agent needs. Raises AvatarError when the service cannot
    be asked, LeftRunningError when it did not end all of them, StoreError when Redis cannot be asked, and
    UnreachableError when agents cannot be.
    """
    service = make_avatar_service(settings)
    if service is None:
        return 0
    async with service:
        toll = Toll()
        with toll.counting():
            toll.ended += await end_orphans(service, ledger)
        if everywhere:
            async with whom_agents_need(settings) as is_needed:
                with toll.counting():
                    toll.ended += await end_lapsed(service, ledger, is_needed)
        return toll.total()
