"""The avatar's face shows, as long as a text is spoken through it, what the text is spoken with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit import rtc

from libacli.core.emotion import NEUTRAL
from libacli.core.event import Event, Rejection
from libacli.core.lifecycle import FINAL_STATES
from libacli.edges.avatars.port import AvatarVendor

logger = logging.getLogger("liba.avatar")

_SEND_TIMEOUT_S = 5.0


class Expression:
    """An outlet of the announcer. `run` sends, until cancelled.

    An avatar keeps what it was told until it is told otherwise, so it is told `neutral` when the last text is
    over; one that was never told anything is left alone. `identity` names the avatar that takes sound, ""
    when there is none. What is spoken on the track shows nothing, nor does an avatar of a vendor without
    expressions, of which the log tells.
    """

    def __init__(self, room: rtc.Room, vendor: AvatarVendor, *, identity: Callable[[], str]) -> None:
        self._room = room
        self._vendor = vendor
        self._identity = identity
        self._wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._told: dict[str, str] = {}
        """Avatar that is in the room → what it shows."""

        self._spoken = ""
        """Id of the utterance that is spoken through the avatar."""

        room.on("participant_disconnected", self._on_left)

    def take_event(self, event: Event | Rejection) -> None:
        """See `Outlet`."""
        if not isinstance(event, Event):
            return
        report = event.report
        if report.state == "speaking" and report.route == "avatar":
            self._spoken = report.id
            self._show(report.emotion or NEUTRAL)
        elif report.state in FINAL_STATES and report.id == self._spoken:
            self._spoken = ""
            if not event.facts.queue:  # else the next one says what it wants, and the face need not twitch
                self._show(NEUTRAL)

    async def run(self) -> None:
        """Sends what is to be shown, in order."""
        while True:
            identity, emotion = await self._wanted.get()
            await self._send(identity, emotion)

    def _show(self, emotion: str) -> None:
        identity = self._identity()
        if not identity or self._told.get(identity, NEUTRAL) == emotion:
            return
        if self._vendor.expressions is None:
            logger.warning("%s shows no emotion: its faces are not told any", self._vendor.title)
        else:
            self._wanted.put_nowait((identity, emotion))
        self._told[identity] = emotion

    async def _send(self, identity: str, emotion: str) -> None:
        expressions = self._vendor.expressions
        if expressions is None or identity not in self._room.remote_participants:
            return
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._room.local_participant.publish_data(
                    expressions.message(emotion),
                    reliable=True,
                    topic=expressions.topic,
                    destination_identities=[identity],
                )
        except TimeoutError:
            logger.warning("the avatar was not told its emotion within %g s", _SEND_TIMEOUT_S)
        except Exception as error:  # the SDK has one class per call
            logger.warning("the avatar was not told its emotion: %s", error)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        self._told.pop(participant.identity, None)
