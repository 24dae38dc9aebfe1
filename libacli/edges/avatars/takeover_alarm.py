"""Who joins with the identity of an avatar and is none.

LiveKit puts out the participant who had the identity; whoever holds the API key could do so.
"""

from __future__ import annotations

import logging

from livekit import rtc

from libacli.edges.livekit.participants import is_agent
from libacli.edges.livekit.tokens import ON_BEHALF_ATTRIBUTE

logger = logging.getLogger("liba.avatar")


class TakeoverAlarm:
    """Says aloud when somebody joins a room as one of the agent's own avatars."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._identities: set[str] = set()
        room.on("participant_connected", self._on_connected)

    def guard(self, identity: str) -> None:
        """From now on this is an avatar's identity."""
        self._identities.add(identity)

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity in self._identities and not is_own_avatar(self._room, participant):
            logger.error(
                "TAKEOVER: somebody joined room %s as the avatar, %s, and put it out; it is given no sound",
                self._room.name,
                participant.identity,
            )


def is_own_avatar(room: rtc.Room, participant: rtc.RemoteParticipant) -> bool:
    """Whether it joined with a token that was made for an avatar of this room's agent."""
    on_behalf_of = participant.attributes.get(ON_BEHALF_ATTRIBUTE)
    return is_agent(participant) and on_behalf_of == room.local_participant.identity
