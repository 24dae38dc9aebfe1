"""Somebody who joins with the identity of the agent, and so puts it out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.protocol import EPOCH_ATTRIBUTE
from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import LibaError

logger = logging.getLogger("liba.room")

_TIMEOUT_S = 0.5
"""One look before the drain: a server that is well answers within a tenth of it."""


class Takeover:
    """Says aloud that the agent of `room` was put out so, and calls `on_takeover`; once."""

    def __init__(
        self, room: rtc.Room, credentials: LiveKitCredentials, on_takeover: Callable[[], None]
    ) -> None:
        self._room = room
        self._credentials = credentials
        self._on_takeover = on_takeover
        self._is_told = False

    def on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """For the room's callback."""
        if reason == rtc.DisconnectReason.DUPLICATE_IDENTITY:
            self._tell()

    async def look(self, epoch: str) -> None:
        """Asks LiveKit who has the identity of this agent, of that epoch, now that its job ends.

        The end of a job that LiveKit ended because of it may come sooner than the reason.
        """
        identity = self._room.local_participant.identity
        if self._room.local_participant.attributes.get(EPOCH_ATTRIBUTE) != epoch:
            return  # it has not been made known itself
        try:
            async with asyncio.timeout(_TIMEOUT_S), LiveKitApi(self._credentials) as api:
                present = await api.participants(self._room.name)
        except (LibaError, TimeoutError):
            return
        holders = [found for found in present if found.identity == identity]
        if any(holder.attributes.get(EPOCH_ATTRIBUTE) != epoch for holder in holders):
            self._tell()

    def _tell(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        logger.error(
            "TAKEOVER: somebody joined room %s with the identity of this agent, %s, and put it out: "
            "who can do that has the API secret, or tokens from somewhere that gives away agents' identities",
            self._room.name,
            self._room.local_participant.identity,
        )
        self._on_takeover()
