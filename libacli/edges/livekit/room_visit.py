"""One stay in a room, of somebody who only follows what its agent tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.agent_status import AgentStatus
from libacli.core.event import Event, QueueNews, Rejection, read_event
from libacli.core.messages import parse_object
from libacli.core.protocol import CAPTION_TOPIC, EVENTS_TOPIC
from libacli.core.room_update import (
    RECONNECTING,
    WELL,
    Caption,
    CaptionPart,
    ConnectionState,
    NoAgent,
    RoomUpdate,
    Unreadable,
)
from libacli.edges.livekit.captions import CaptionReader, Check
from libacli.edges.livekit.participants import epoch_of_agent
from libacli.errors import LibaError, NoAgentError, RefusedError

logger = logging.getLogger("liba.watch")

_MAX_EVENT_BYTES = 16 * 1024
"""LiveKit carries about 15 KiB in one reliable packet; an agent's event has less than one."""

_QUEUE_LIMIT = 2000
"""What is not read yet: two queues of 1000, the most there is, that are stopped at once."""

AskStatus: TypeAlias = Callable[[], Awaitable[AgentStatus]]
"""Asks the agent of a room. Raises what `AgentClient.queue` raises."""


@dataclass(frozen=True)
class _Told:
    """What the agent told, and the epoch that the server vouches for."""

    payload: bytes
    identity: str
    epoch: str


@dataclass(frozen=True)
class _Disconnected:
    """The connection is lost for good."""


@dataclass(frozen=True)
class _Silence:
    """Nothing came for a while."""


_Incoming: TypeAlias = _Told | Caption | CaptionPart | ConnectionState | _Disconnected | None
"""None: somebody came, left or changed."""


class RoomVisit:
    """From joining a room until the connection is lost for good. Callbacks only queue.

    The agent of that name is believed, for its own epoch; `check` is for its captions, see CaptionReader.
    """

    def __init__(self, room: rtc.Room, agent_name: str, check: Check) -> None:
        self.room = room
        self._agent_name = agent_name
        self._incoming: asyncio.Queue[_Incoming] = asyncio.Queue(_QUEUE_LIMIT)
        self.captions = CaptionReader(self._is_believed, check, self._queue, on_part=self._queue)
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

    async def updates(self, ask: AskStatus, *, every_s: float | None = None) -> AsyncGenerator[RoomUpdate]:
        """What comes, from now on; the agent is asked when another one is there, or it was not heard, and
        when it was silent for `every_s`."""
        yield WELL
        self._agent = self._find_agent()
        if status := await _status(ask):
            yield status
        while self.room.isconnected() or not self._incoming.empty():
            match await self._next(every_s):
                case _Silence():
                    if self._agent and (status := await _status(ask)):
                        yield status
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
                    update = self._read(told)
                    if isinstance(update, QueueNews):  # events tell no order
                        if status := await _status(ask):
                            yield status
                    elif update:
                        yield update
                case Caption() | CaptionPart() as caption:
                    yield caption

    async def _next(self, within_s: float | None) -> _Incoming | _Silence:
        try:
            async with asyncio.timeout(within_s):
                return await self._incoming.get()
        except TimeoutError:
            return _Silence()

    def _read(self, told: _Told) -> Event | Rejection | QueueNews | Unreadable | None:
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


async def _status(ask: AskStatus) -> AgentStatus | NoAgent | None:
    """None when it cannot be told: the server is too old for the call, or does not answer."""
    try:
        return await ask()
    except NoAgentError:
        return NoAgent()
    except LibaError as error:
        logger.debug("no status: %s", error)
        return None


def _event(payload: bytes) -> Event | Rejection | QueueNews | Unreadable:
    if len(payload) > _MAX_EVENT_BYTES:
        return Unreadable()
    try:
        return read_event(parse_object(payload.decode()))
    except (UnicodeDecodeError, RefusedError):
        return Unreadable()
