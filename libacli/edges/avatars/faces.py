"""Whose faces are in a room: those of the agent that were not asked for, or are over, are put out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from livekit import rtc

from libacli.edges.avatars.room_changes import within
from libacli.edges.avatars.takeover_alarm import is_own_avatar
from libacli.edges.livekit.participants import is_agent
from libacli.edges.livekit.tokens import AGENT_IDENTITY_PREFIX, ON_BEHALF_ATTRIBUTE
from libacli.errors import LibaError

logger = logging.getLogger("liba.avatar")

_LEAVING_S = 0.5
"""For one call to LiveKit, which answers within a tenth of it: an agent that leaves waits for it."""

_STRAY_S = 5.0
"""The same where nobody waits; and how long until it is tried again."""


class Faces:
    """Lets the faces stay that were admitted. `run` until cancelled.

    Others come when a service begins a conversation that nobody waited for any more, or when the agent before
    was killed: they show what they like, and a new avatar may take its sound from them. `remove` puts a
    participant out of the room; it may raise LibaError.
    """

    def __init__(self, room: rtc.Room, remove: Callable[[str], Awaitable[None]]) -> None:
        self._room = room
        self._remove = remove
        self._admitted: set[str] = set()
        self._changed = asyncio.Event()
        room.on("participant_connected", self._on_change)

    def admit(self, identity: str) -> None:
        """From now on this is one of the agent's."""
        self._admitted.add(identity)

    async def dismiss(self, identity: str) -> None:
        """It is none any more, and is put out if it has not gone by itself."""
        self._admitted.discard(identity)
        await self._put_out(identity, within_s=_LEAVING_S)

    async def run(self) -> None:
        """Puts those of this agent out that were not asked for, as they come."""
        while True:
            self._changed.clear()
            are_out = await self._put_out_all(lambda face: is_own_avatar(self._room, face))
            if are_out:
                await self._changed.wait()
            else:
                await within(_STRAY_S, self._changed.wait())

    async def make_room(self) -> None:
        """Puts out also those of liba agents that have left: a new one could take its sound there."""
        await self._put_out_all(lambda face: is_own_avatar(self._room, face) or self._is_left_alone(face))

    async def _put_out_all(self, is_stray: Callable[[rtc.RemoteParticipant], bool]) -> bool:
        """Whether that succeeded."""
        strays = [
            face.identity
            for face in self._room.remote_participants.values()
            if face.identity not in self._admitted and is_stray(face)
        ]
        for identity in strays:
            logger.warning("the avatar %s is none that was asked for, and is put out", identity)
            await self._put_out(identity, within_s=_STRAY_S)
        return not any(identity in self._room.remote_participants for identity in strays)

    def _is_left_alone(self, participant: rtc.RemoteParticipant) -> bool:
        on_behalf_of = participant.attributes.get(ON_BEHALF_ATTRIBUTE, "")
        return (
            is_agent(participant)
            and on_behalf_of.startswith(AGENT_IDENTITY_PREFIX)
            and on_behalf_of not in self._room.remote_participants
        )

    async def _put_out(self, identity: str, *, within_s: float) -> None:
        """Who does not go when its conversation is over could still say and show what it likes."""
        if identity in self._room.remote_participants:
            try:
                async with asyncio.timeout(within_s):
                    await self._remove(identity)
            except (LibaError, TimeoutError) as error:
                logger.warning("the avatar %s was not put out: %s", identity, str(error) or "no answer")

    def _on_change(self, _: rtc.RemoteParticipant) -> None:
        self._changed.set()
