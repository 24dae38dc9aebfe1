"""Who was thrown out of a room with its agent, as when their node dies, and has to be back to hear it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from livekit import rtc

from libacli.core.bounds import Bounds
from libacli.edges.livekit.audience import Taken
from libacli.edges.livekit.participants import is_listener

RETURN_S = 5.0
"""How long after its agent the last viewer may be back, and how long anybody may need to take a track that
nobody took before."""

_LEFT = (
    rtc.DisconnectReason.CLIENT_INITIATED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED,
    rtc.DisconnectReason.ROOM_DELETED,
    rtc.DisconnectReason.ROOM_CLOSED,
    rtc.DisconnectReason.USER_UNAVAILABLE,
    rtc.DisconnectReason.USER_REJECTED,
    rtc.DisconnectReason.SIP_TRUNK_FAILURE,
)
"""With these somebody has gone, or was sent away. Of whom an agent has lost with its own connection the SDK
tells without a reason."""


class Returning:
    """Viewers who were there when the agent's connection was lost. Callbacks of the room only note down.

    Each of them looks for another node by himself, and may find one later than the agent does: nobody hears
    what is played until then.
    """

    def __init__(self, room: rtc.Room, track: Taken, *, bounds: Bounds | None = None) -> None:
        self._room = room
        self._track = track
        self._bounds = bounds or Bounds()
        self._lost: set[str] = set()
        """Identities; those who are back are taken out together, or when nobody is waited for any more."""

        self._was_taken = False
        """Whether they had taken the track: they will do so again, and hear nothing before."""

        self._returned_at = 0.0
        self._news = asyncio.Event()
        room.on("reconnecting", self._on_reconnecting)
        room.on("reconnected", self._on_reconnected)
        room.on("participant_connected", lambda *_: self._news.set())
        room.on("participant_disconnected", self._on_disconnected)

    async def back(self) -> None:
        """Returns when all of them are there again, or one of them and some time has passed, or when none of
        them comes any more; at once where nobody was there."""
        if not self._lost:
            return
        while (left_s := self._left_s()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            self._news.clear()
        if self._there():
            await self._track.subscribed(within_s=self._take_s() if self._was_taken else RETURN_S)
        self._lost.clear()
        self._was_taken = False

    def _left_s(self) -> float:
        """Seconds for which it is worth waiting."""
        there = self._there()
        if self._lost <= there:
            return 0.0
        return self._until(RETURN_S if there else self._bounds.return_s - RETURN_S)

    def _take_s(self) -> float:
        return max(0.0, self._until(self._bounds.return_s))

    def _until(self, bound_s: float) -> float:
        return self._returned_at + bound_s - asyncio.get_running_loop().time()

    def _there(self) -> set[str]:
        return {one.identity for one in self._room.remote_participants.values() if is_listener(one)}

    def _on_reconnecting(self, *_: object) -> None:
        self._lost |= self._there()
        self._was_taken = self._was_taken or self._track.is_taken

    def _on_reconnected(self, *_: object) -> None:
        self._returned_at = asyncio.get_running_loop().time()
        self._news.set()

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        if participant.disconnect_reason in _LEFT:
            self._lost.discard(participant.identity)
            self._news.set()
