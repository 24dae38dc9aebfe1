"""Ending conversations, whatever happens meanwhile: each costs money until then."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.port import AvatarService
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.signing import wall_clock
from libacli.errors import AvatarError, LeftRunningError

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
    try:
        await to_the_end(_end(service, ledger, entry))
    except AvatarError as error:
        logger.error("conversation %s may still run and cost money: liba reap (%s)", entry.id, error)
        return False
    return True


async def end_patiently(service: AvatarService, conversation_id: str) -> None:
    """Ends one at the second try, too, which comes when the service wants it, if that is soon.

    Raises AvatarError.
    """
    until = _now() + _END_TIMEOUT_S
    for tries_left in reversed(range(_END_TRIES)):
        try:
            async with asyncio.timeout(_END_TIMEOUT_S / _END_TRIES):
                await service.end(conversation_id)
            return
        except TimeoutError as late:
            error, pause_s = AvatarError("no answer", is_permanent=False, is_unsure=True), 0.0
            error.__cause__ = late
        except AvatarError as refused:
            error, pause_s = refused, refused.retry_in_s or 0.0
        if not tries_left or _would_not_help(error) or _now() + pause_s >= until:
            raise error
        await asyncio.sleep(pause_s)


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

    One that may still come into being stays noted down. Raises LeftRunningError when one was not ended, after
    the others were.
    """
    whose = (service.vendor.name, service.base_url)
    orphans = [entry for entry in ledger.orphans() if (entry.vendor, entry.base_url) == whose]
    toll = Toll()
    for entry in orphans:
        with toll.counting():
            toll.ended += await end_left(service, ledger, entry, clock())
    return toll.total()


async def end_left(service: AvatarService, ledger: ConversationLedger, entry: Entry, now: float) -> bool:
    """Ends one that was left behind, unless somebody else does; whether it was ended here.

    Raises AvatarError when it may still run.
    """
    if not await asyncio.to_thread(ledger.claim, entry):
        return False
    try:
        if entry.id:
            await to_the_end(_end(service, ledger, entry))
            return True
        is_last_look = now - entry.asked_at >= LAST_LOOK_S
        trace = await end_by_name(service, ledger, entry, is_last_look=is_last_look)
        if trace is Trace.UNKNOWN:
            raise AvatarError("not available", is_permanent=False, is_unsure=True)
        return trace is Trace.ENDED
    finally:
        await to_the_end(asyncio.to_thread(ledger.release, entry))


class Toll:
    """What becomes of many conversations that are ended one after the other."""

    def __init__(self) -> None:
        self.ended = 0
        self._left = 0
        self._why: AvatarError | None = None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """What is not ended is told in the end."""
        try:
            yield
        except LeftRunningError as error:
            self.ended += error.ended
            self._left += error.left
            self._why = error.why
        except AvatarError as error:
            self._left += 1
            self._why = error

    def total(self) -> int:
        """How many were ended. Raises LeftRunningError when not all were."""
        if self._why:
            raise LeftRunningError(self.ended, self._left, self._why) from self._why
        return self.ended


async def _end(service: AvatarService, ledger: ConversationLedger, entry: Entry) -> None:
    if service.vendor.can_end:
        await end_patiently(service, entry.id)
    await asyncio.to_thread(ledger.forget, entry)


def _would_not_help(error: AvatarError) -> bool:
    """To ask again: it was refused, and not for asking too often."""
    return error.status is not None and 400 <= error.status < 500 and error.status != 429


def _now() -> float:
    return asyncio.get_running_loop().time()
