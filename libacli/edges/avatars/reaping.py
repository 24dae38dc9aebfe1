"""Ends conversations that no ledger here knows: of machines that are gone, or whose disk is."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from libacli.config import LiveKitCredentials, Settings
from libacli.edges.avatars.conversation_names import (
    ConversationName,
    is_ours,
    project_of,
    short_name,
    short_name_of_room,
)
from libacli.edges.avatars.ending import Toll, end_left, end_patiently
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.port import AvatarService
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.leader import pulse
from libacli.edges.livekit.signing import wall_clock

logger = logging.getLogger("liba.avatar")

_CONNECT_TIMEOUT_S = 1.0
"""To a service of this machine: it takes the connection at once, or is not there."""


@dataclass(frozen=True)
class Reaped:
    """What became of the conversations that run and were begun by liba."""

    ended: int
    spared: int
    """Of an agent that answers, or may: it is of another LiveKit project."""


def forget_local(ledger: ConversationLedger) -> None:
    """Crosses out what was left behind with a local avatar whose service has ended: it ended with that.

    Raises LibaError.
    """
    for entry in ledger.orphans():
        if entry.is_local and not _answers(entry.base_url):
            ledger.forget(entry)


def _answers(url: str) -> bool:
    """Whether anybody listens there."""
    there = urlsplit(url)
    try:
        socket.create_connection((there.hostname or "", there.port or 80), _CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError):
        return False
    return True


IsNeeded = Callable[[ConversationName], Awaitable[bool]]
"""Whether the agent of this conversation lives, or may."""


async def end_strays(service: AvatarService, ledger: ConversationLedger, is_needed: IsNeeded) -> Reaped:
    """Ends those that run under a name of ours and that nobody needs.

    Raises what `is_needed` raises, and LeftRunningError when one was not ended, after the others were.
    """
    entries, orphans = await asyncio.to_thread(lambda: (ledger.entries(), ledger.orphans()))
    held = {entry.name for entry in entries} - {entry.name for entry in orphans}
    toll, spared = Toll(), 0
    for found in await service.active():
        if not is_ours(found.name):
            continue
        name = ConversationName.read(found.name)
        if found.name in held or (name and await is_needed(name)):
            spared += 1
            continue
        with toll.counting():
            await end_patiently(service, found.id)
            toll.ended += 1
    return Reaped(toll.total(), spared)


async def end_lapsed(
    service: AvatarService,
    ledger: ConversationLedger,
    is_needed: IsNeeded,
    *,
    clock: Callable[[], float] = wall_clock,
) -> int:
    """Ends what other machines have left behind that give no sign of life; returns how many.

    Raises StoreError when that cannot be told, what `is_needed` raises, and LeftRunningError when one was not
    ended, after the others were.
    """
    toll = Toll()
    for entry in await asyncio.to_thread(ledger.lapsed):
        name = ConversationName.read(entry.name)
        if name and await is_needed(name):
            logger.info("%s is left to its agent, which answers, or may", entry.name)
        else:
            with toll.counting():
                toll.ended += await end_left(service, ledger, entry, clock())
    return toll.total()


class LivingAgents:
    """Asks agents of one LiveKit project whether they live; one that was killed is listed for a while."""

    def __init__(self, api: LiveKitApi, credentials: LiveKitCredentials) -> None:
        self._api = api
        self._credentials = credentials
        self._rooms: list[str] | None = None

    async def need(self, name: ConversationName) -> bool:
        """See `IsNeeded`. Raises LibaError when LiveKit cannot be asked."""
        if name.project != project_of(self._credentials.api_key):
            return True
        if self._rooms is None:
            self._rooms = [row.name for row in await self._api.rooms()]
        rooms = [room for room in self._rooms if short_name_of_room(room) == name.room]
        return any([await self._answers(room, name.agent) for room in rooms])

    async def _answers(self, room: str, agent: str) -> bool:
        for found in await self._api.participants(room):
            if found.is_agent and short_name(found.identity) == agent:
                return await pulse(self._api, self._credentials, room, found.identity) != "silent"
        return False


@asynccontextmanager
async def whom_agents_need(settings: Settings) -> AsyncIterator[IsNeeded]:
    """Asks the agents of the LiveKit that is configured; where none is, nobody can be asked."""
    if not settings.livekit_url:
        yield nobody
        return
    credentials = settings.livekit()
    async with LiveKitApi(credentials) as api:
        yield LivingAgents(api, credentials).need


async def nobody(_: ConversationName) -> bool:
    """`IsNeeded` of whoever cannot ask, or does not want to."""
    return False
