"""What the agents of a room tell, for somebody who is not seen there and takes no sound or picture."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.room_update import RECONNECTING, RoomUpdate
from libacli.edges.livekit.agent_client import open_client
from libacli.edges.livekit.caption_signature import caption_check
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.room_visit import AskStatus, RoomVisit
from libacli.edges.livekit.tokens import listener_token
from libacli.errors import LibaError

logger = logging.getLogger("liba.watch")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
"""Between attempts: that a server is back is known so late at most."""


class RoomFollower:
    """Follows the agents of `room`; the one named `agent_name` is asked for its status.

    Only that agent is believed: its captions are signed with `credentials`, or with `previous`. Of utterances
    that have ended the last `remembered` are told at first. When nothing was heard for `ask_every_s` seconds
    the agent is asked whether it is there still.
    With `is_patient` whatever happens is no reason to end, not even when the room cannot be joined at all.
    `ask` is for tests, as is `new_room`.
    """

    def __init__(
        self,
        credentials: LiveKitCredentials,
        *,
        room: str,
        agent_name: str,
        with_captions: bool = False,
        is_patient: bool = False,
        remembered: int = 0,
        ask_every_s: float | None = None,
        previous: LiveKitCredentials | None = None,
        new_room: Callable[[], rtc.Room] = rtc.Room,
        ask: AskStatus | None = None,
    ) -> None:
        self._credentials = credentials
        self._room_name = room
        self._agent_name = agent_name
        self._with_captions = with_captions
        self._is_patient = is_patient
        self._remembered = remembered
        self._ask_every_s = ask_every_s
        self._previous = previous
        self._new_room = new_room
        self._ask = ask

    async def updates(self) -> AsyncGenerator[RoomUpdate]:
        """All that comes, without end: a connection that is lost is made again.

        Raises UnreachableError or CredentialsError when there was none to begin with, unless it is patient.
        Close it (`contextlib.aclosing`) to leave the room.
        """
        pause_s, goes_on = _FIRST_PAUSE_S, self._is_patient
        async with open_client(
            self._credentials, room=self._room_name, agent_name=self._agent_name
        ) as client:
            ask = partial(client.queue, ended=self._remembered)
            while True:
                try:
                    async with aclosing(self._visit(self._ask or ask)) as updates:
                        async for update in updates:
                            pause_s, goes_on = _FIRST_PAUSE_S, True
                            yield update
                except LibaError as error:
                    if not goes_on:
                        raise
                    logger.debug("not joined again: %s", error)
                except Exception:
                    if not self._is_patient:
                        raise
                    logger.exception("following a room failed")  # it would seem silent for ever
                yield RECONNECTING
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _visit(self, ask: AskStatus) -> AsyncGenerator[RoomUpdate]:
        check = caption_check(self._credentials, lambda: self._room_name, previous=self._previous)
        visit = RoomVisit(self._new_room(), self._agent_name, check)
        if self._with_captions:
            visit.take_captions()
        async with (
            joined(visit.room, self._credentials.ws_url, self._token(), auto_subscribe=False),
            visit.captions.reading(),
            aclosing(visit.updates(ask, every_s=self._ask_every_s)) as updates,
        ):
            async for update in updates:
                yield update

    def _token(self) -> str:
        """Hidden: an avatar, which costs money, is there for viewers, and this is none."""
        identity = f"liba-watch-{os.urandom(3).hex()}"
        return listener_token(self._credentials, room=self._room_name, identity=identity, hidden=True)


async def ask_once(credentials: LiveKitCredentials, *, room: str, agent_name: str, ended: int) -> AgentStatus:
    """What `AgentClient.queue` gives, over HTTP alone.

    Raises NoAgentError, UnreachableError, CredentialsError.
    """
    async with open_client(credentials, room=room, agent_name=agent_name) as client:
        return await client.queue(ended=ended)
