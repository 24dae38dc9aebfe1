"""When an avatar has arrived: it is in the room, is seen, and what it says reaches everybody."""

from __future__ import annotations

import asyncio

from livekit import rtc

from libacli.edges.avatars.room_changes import RoomChanges, within
from libacli.edges.avatars.takeover_alarm import is_own_avatar
from libacli.errors import AvatarError

_OWN_TRACK_S = 2.0
"""How long the agent waits for its sound after its picture: one may publish it with the first word."""

_SUBSCRIBE_S = 0.5
"""How much longer than the agent viewers may need for the avatar's tracks: sound before that nobody hears."""


class Arrival:
    """Waits for avatars of the room's agent, each at most `join_timeout_s` seconds."""

    def __init__(self, room: rtc.Room, changes: RoomChanges, *, join_timeout_s: float) -> None:
        self._room = room
        self._changes = changes
        self._join_timeout_s = join_timeout_s

    async def of(self, identity: str) -> None:
        """Waits until the avatar is in the room with its picture, and viewers take it. Raises AvatarError."""
        is_there = self._changes.until(lambda: self._shows_itself(identity))
        if not await within(self._join_timeout_s, is_there):
            raise AvatarError("never joined", is_permanent=False)
        # On a busy machine tracks take their time to everybody: what has come here is on its way to viewers.
        await within(_OWN_TRACK_S, self._changes.until(lambda: self._has_sound_of(identity)))
        await asyncio.sleep(_SUBSCRIBE_S)

    def _shows_itself(self, identity: str) -> bool:
        participant = self._room.remote_participants.get(identity)
        return (
            participant is not None
            and is_own_avatar(self._room, participant)
            and any(
                publication.kind == rtc.TrackKind.KIND_VIDEO
                for publication in participant.track_publications.values()
            )
        )

    def _has_sound_of(self, identity: str) -> bool:
        participant = self._room.remote_participants.get(identity)
        return participant is not None and any(
            publication.kind == rtc.TrackKind.KIND_AUDIO and publication.track is not None
            for publication in participant.track_publications.values()
        )
