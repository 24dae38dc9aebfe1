"""What the agents of a room tell, for somebody who is not seen there and takes no sound or picture."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials
from libacli.core.event import AgentStatus, Event, Rejection, read_event
from libacli.core.messages import parse_object
from libacli.core.protocol import CAPTION_TOPIC, EVENTS_TOPIC
from libacli.core.room_update import (
    RECONNECTING,
    WELL,
    Caption,
    ConnectionState,
    NoAgent,
    RoomUpdate,
    Unreadable,
)
from libacli.edges.livekit.agent_client import open_client
from libacli.edges.livekit.caption_signature import check_caption
from libacli.edges.livekit.captions import CaptionReader, Check
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.participants import epoch_of_agent
from libacli.edges.livekit.tokens import listener_token
from libacli.errors import LibaError, NoAgentError, RefusedError

logger = logging.getLogger("liba.watch")

_MAX_EVENT_BYTES = 16 * 1024
"""LiveKit carries about 15 KiB in one reliable packet; an agent's event has less than one."""

_QUEUE_LIMIT = 2000
"""What is not read yet: two queues of 1000, the most there is, that are stopped at once."""

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
"""Between attempts: that a server is back is known so late at most."""


AskStatus: TypeAlias = Callable[[], Awaitable[AgentStatus]]
"""Asks the agent of a room. Raises what `AgentClient.queue` raises."""


class RoomFollower:
    """Follows the agents of `room`; the one named `agent_name` is asked for its status.

    Only that agent is believed: its captions are signed with `credentials`, or with `previous`.
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
        previous: LiveKitCredentials | None = None,
        new_room: Callable[[], rtc.Room] = rtc.Room,
        ask: AskStatus | None = None,
    ) -> None:
        self._credentials = credentials
        self._room_name = room
        self._agent_name = agent_name
        self._with_captions = with_captions
        self._is_patient = is_patient
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
            while True:
                try:
                    async with aclosing(self._visit(self._ask or client.queue)) as updates:
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
        visit = _Visit(self._new_room(), self._agent_name, self._check_caption)
        if self._with_captions:
            visit.take_captions()
        async with (
            joined(visit.room, self._credentials.ws_url, self._token(), auto_subscribe=False),
            visit.captions.reading(),
            aclosing(visit.updates(ask)) as updates,
        ):
            async for update in updates:
                yield update

    def _check_caption(self, identity: str, caption: Caption, signature: str) -> None:
        check_caption(
            self._credentials,
            signature,
            room=self._room_name,
            agent=identity,
            utterance_id=caption.utterance_id,
            text=caption.text,
            previous=self._previous,
        )

    def _token(self) -> str:
        """Hidden: an avatar, which costs money, is there for viewers, and this is none."""
        identity = f"liba-watch-{os.urandom(3).hex()}"
        return listener_token(self._credentials, room=self._room_name, identity=identity, hidden=True)


@dataclass(frozen=True)
class _Told:
    """What the agent told, and the epoch that the server vouches for."""

    payload: bytes
    identity: str
    epoch: str


@dataclass(frozen=True)
class _Disconnected:
    """The connection is lost for good."""


_Incoming: TypeAlias = _Told | Caption | ConnectionState | _Disconnected | None
"""None: somebody came, left or changed."""


class _Visit:
    """From joining a room until the connection is lost for good. Callbacks only queue."""

    def __init__(self, room: rtc.Room, agent_name: str, check: Check) -> None:
        self.room = room
        self._agent_name = agent_name
        self._incoming: asyncio.Queue[_Incoming] = asyncio.Queue(_QUEUE_LIMIT)
        self.captions = CaptionReader(self._is_believed, check, self._queue)
        self._is_change_queued = False
        self._log = ComplaintLog(logger)
        self._agent = ""
        """Identity and epoch of the agent that was asked last; empty: there was none."""

        room.on("data_received", self._on_data)
        room.on("reconnecting", lambda: self._queue(RECONNECTING))
        room.on("reconnected", lambda: self._queue(WELL))
        room.on("disconnected", lambda *_: self._queue(_Disconnected()))
        for event in ("participant_connected", "participant_attributes_changed", "participant_disconnected"):
            room.on(event, self._on_change)

    def take_captions(self) -> None:
        """From now on; before it nothing is known of them."""
        self.room.register_text_stream_handler(CAPTION_TOPIC, self.captions.on_opened)

    async def updates(self, ask: AskStatus) -> AsyncGenerator[RoomUpdate]:
        yield WELL
        self._agent = self._find_agent()
        if status := await _status(ask):
            yield status
        while self.room.isconnected() or not self._incoming.empty():
            match await self._incoming.get():
                case None:
                    self._is_change_queued = False
                    is_another = self._agent != (agent := self._find_agent())
                    self._agent = agent
                    if is_another and (status := await _status(ask)):
                        yield status
                case _Disconnected():
                    return
                case ConnectionState() as state:
                    yield state
                    # What was told while the connection was gone was not heard.
                    if state == WELL and (status := await _status(ask)):
                        yield status
                case _Told() as told:
                    if update := self._read(told):
                        yield update
                case Caption() as caption:
                    yield caption

    def _read(self, told: _Told) -> Event | Rejection | Unreadable | None:
        """None: it is of another life of the agent than the one that has told it."""
        with self._log.net(told.identity, "event"):
            event = _event(told.payload)
            if isinstance(event, Unreadable) or event.facts.epoch == told.epoch:
                return event
            self._log.tell(told.identity, "event", "passed over: it is of another epoch")
            return None
        return Unreadable()

    def _find_agent(self) -> str:
        for participant in self.room.remote_participants.values():
            if epoch := epoch_of_agent(participant, self._agent_name):
                return f"{participant.identity} {epoch}"
        return ""

    def _on_data(self, packet: rtc.DataPacket) -> None:
        with self._log.net("", "event"):
            # Anybody with the right to send data, and any avatar, could call itself the agent's voice.
            sender = packet.participant if packet.topic == EVENTS_TOPIC else None
            if sender and (epoch := epoch_of_agent(sender, self._agent_name)):
                self._queue(_Told(packet.data, sender.identity, epoch))

    def _on_change(self, *_: object) -> None:
        """One look at who is there counts for all changes until then."""
        if not self._is_change_queued:
            self._is_change_queued = True
            self._queue(None)

    def _is_believed(self, identity: str) -> bool:
        return bool(epoch_of_agent(self.room.remote_participants.get(identity), self._agent_name))

    def _queue(self, item: _Incoming) -> None:
        # Nobody reads: better to lose the oldest than the memory; what is to be looked at is not lost.
        if self._incoming.full() and self._incoming.get_nowait() is None:
            self._incoming.put_nowait(None)
            self._incoming.get_nowait()
        self._incoming.put_nowait(item)


async def ask_once(credentials: LiveKitCredentials, *, room: str, agent_name: str) -> AgentStatus:
    """What `AgentClient.queue` gives, over HTTP alone.

    Raises NoAgentError, UnreachableError, CredentialsError.
    """
    async with open_client(credentials, room=room, agent_name=agent_name) as client:
        return await client.queue()


async def _status(ask: AskStatus) -> AgentStatus | NoAgent | None:
    """None when it cannot be told: the server is too old for the call, or does not answer."""
    try:
        return await ask()
    except NoAgentError:
        return NoAgent()
    except LibaError as error:
        logger.debug("no status: %s", error)
        return None


def _event(payload: bytes) -> Event | Rejection | Unreadable:
    if len(payload) > _MAX_EVENT_BYTES:
        return Unreadable()
    try:
        return read_event(parse_object(payload.decode()))
    except (UnicodeDecodeError, RefusedError):
        return Unreadable()
