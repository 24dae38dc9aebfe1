"""Who is about to hear: people who are in a room, and do not yet get what is spoken there.

LiveKit tells a publisher of the first subscriber of a track alone, and of those who publish nothing up to
3 s late (`OnTrackEverSubscribed` and `subscriberUpdateInterval` in livekit-server's `pkg/rtc`). Who joined a
moment ago is in the server's own list. A client that is connected gets the tracks that are there.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from livekit import rtc

from libacli.edges.livekit.api import Participant
from libacli.edges.livekit.participants import is_listener
from libacli.errors import LibaError

logger = logging.getLogger("liba.room")

_LOOK_EVERY_S = 0.2
_LOOK_TIMEOUT_S = 0.5
"""A server that takes longer to tell who is there holds nothing up."""


class Taken(Protocol):
    """A track, as those who may take it see it."""

    @property
    def is_taken(self) -> bool:
        """Whether somebody has ever subscribed to it."""

    async def subscribed(self, *, within_s: float) -> None:
        """Waits until somebody has, so long at most."""


class People(Protocol):
    """`LiveKitApi`, as far as it is asked here."""

    async def participants(self, room: str) -> list[Participant]: ...

    async def aclose(self) -> None: ...


class Audience:
    """The people in `room`, for whom `track` is."""

    def __init__(self, room: rtc.Room, track: Taken, people: People) -> None:
        self._room = room
        self._track = track
        self._people = people
        self._awaited: set[str] = set()
        """Stays of those who were waited for in vain: who does not want to hear holds nobody up again."""

    async def ready(self, *, within_s: float) -> None:
        """Waits until all who are there hear what is said; returns at once where that is known.

        Nobody is waited for twice. Raises nothing.
        """
        late: set[str] = set()
        try:
            async with asyncio.timeout(within_s):
                while self._may_be_late() and (late := await self._late()):
                    if self._track.is_taken:
                        await asyncio.sleep(_LOOK_EVERY_S)
                    else:
                        await self._track.subscribed(within_s=_LOOK_EVERY_S)
        except TimeoutError:
            self._awaited |= late

    def _may_be_late(self) -> bool:
        """Whether somebody may be: nobody has ever taken the track, or somebody is connecting."""
        others = self._room.remote_participants.values()
        return not self._track.is_taken or any(_is_connecting(one) for one in others if is_listener(one))

    async def _late(self) -> set[str]:
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                there = await self._people.participants(self._room.name)
        except (LibaError, TimeoutError) as error:
            logger.debug("it is not known who is there: %s", error)
            return set()
        late = {one.sid for one in there if one.may_hear and not (one.is_active and self._track.is_taken)}
        return late - self._awaited


def _is_connecting(participant: rtc.RemoteParticipant) -> bool:
    return participant.state != rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
