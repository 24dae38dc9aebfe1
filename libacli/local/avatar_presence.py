"""Who is in an avatar's room, and whether there is still somebody to stay for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from livekit import rtc

from libacli.edges.livekit.tokens import ON_BEHALF_ATTRIBUTE

_AGENT_KIND = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
_NEWS_TAKE_S = 5.0


@dataclass(frozen=True)
class Invitation:
    """Where an avatar is to go, and for how long.

    The timeouts are Tavus's, whose subject is people, never the agent:
    https://docs.tavus.io/sections/conversational-video-interface/conversation/customizations/call-duration-and-timeout
    """

    url: str
    """ws:// or wss:// address of the LiveKit server."""

    token: str = field(repr=False)
    left_timeout_s: float = 0.0
    """How long it stays when the last viewer has left."""

    absent_timeout_s: float = 300.0
    """How long it waits for a first one."""

    face_id: str = ""
    """Whose face it is to have."""


class Presence:
    """The avatar's view of `room`; it is to be made before the room is joined."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._is_closed = False
        self._changed = asyncio.Event()
        self._watched_until = 0.0
        room.on("local_track_subscribed", self._on_subscribed)
        room.on("participant_connected", lambda _: self._changed.set())
        room.on("participant_disconnected", lambda _: self._changed.set())
        room.on("disconnected", self._on_disconnected)

    @property
    def agent(self) -> str:
        """Identity of the agent whom the avatar speaks for, or "" when it is not there."""
        wanted = self._room.local_participant.attributes.get(ON_BEHALF_ATTRIBUTE)
        for identity, participant in self._room.remote_participants.items():
            if identity == wanted or (not wanted and participant.kind == _AGENT_KIND):
                return identity
        return ""

    @property
    def has_viewers(self) -> bool:
        """Whether anybody is there who is no agent."""
        return any(other.kind != _AGENT_KIND for other in self._room.remote_participants.values())

    @property
    def is_watched(self) -> bool:
        """Whether somebody is there who may be looking: one who is hidden subscribes, and is not seen."""
        return self.has_viewers or asyncio.get_running_loop().time() < self._watched_until

    async def over(self, invitation: Invitation) -> str:
        """Waits until there is nothing to stay for; says why in Tavus's words, or `room_closed`."""
        now = asyncio.get_running_loop().time
        alone_until: float | None = now() + invitation.absent_timeout_s
        reason = "participant_absent_timeout reached"
        while not self._is_closed:
            self._changed.clear()
            if self.has_viewers:
                alone_until, reason = None, "participant_left_timeout reached"
            elif alone_until is None:
                alone_until = now() + invitation.left_timeout_s
            try:
                async with asyncio.timeout_at(alone_until):
                    await self._changed.wait()
            except TimeoutError:
                return reason
        return "room_closed"

    def _on_subscribed(self, _: object) -> None:
        # The server tells at once of the first subscriber, and within 3 s of those who publish nothing.
        self._watched_until = asyncio.get_running_loop().time() + _NEWS_TAKE_S

    def _on_disconnected(self, _: object) -> None:
        self._is_closed = True
        self._changed.set()
