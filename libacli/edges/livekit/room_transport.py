"""The agent's side of a room: requests come in by RPC, data packet and text stream, events go out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from livekit import rtc

from libacli.complaint_log import ComplaintLog, named
from libacli.config import LiveKitCredentials
from libacli.core.caps import Rates
from libacli.core.event import Event, QueueNews, Rejection
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    CHAT_TOPIC,
    EVENTS_TOPIC,
    METHODS,
    SAY_METHOD,
    SAY_TOPIC,
)
from libacli.core.sound_shelf import SoundShelf
from libacli.edges.livekit.participants import is_agent
from libacli.edges.livekit.room_gate import PutOut, RoomGate
from libacli.edges.livekit.say_streams import STREAM_TOPICS, SayStreams
from libacli.edges.livekit.sound_streams import SoundStreams
from libacli.edges.livekit.stream_origin import ServerMarks, StreamOrigin
from libacli.edges.livekit.takeover import Takeover
from libacli.speech.desk import Desk
from libacli.speech.permit import Sender

logger = logging.getLogger("liba.room")

_OUTGOING_LIMIT = 1000
"""Events that wait to be sent: a whole queue that is stopped at once."""

_REJECTIONS_LIMIT = 100
"""Of the places above, so many are for refusals: the rest stays free for what was taken."""

_REPLIES_PER_MINUTE = 60
_REPLIES_AT_ONCE = 5
"""Refusals of its packets that one sender is told of by an event of its own."""

_CHAT_REPLIES_PER_MINUTE = 1
"""The same in a chat: people may be talking to each other there."""

_SEND_TIMEOUT_S = 60.0
"""Longer than the SDK goes on reconnecting: until then it holds what is sent, and sends it after that."""

_FAILED = json.dumps({"rejected": "internal", "message": "the agent failed at it"})


@dataclass(frozen=True)
class _Packet:
    """A request that came as data and was not read yet."""

    payload: bytes
    sender: Sender
    received_at: float


class RoomTransport:
    """Connects a desk with a room. Callbacks of the room only take in or queue; `run` does the sending.

    Nothing that comes ends it, whatever it does to the desk: that is told, and the next one is read. What
    goes beyond what one sender may ask is not read at all: `on_left_out` is called, and who goes on with it
    is `put_out` of the room. `on_takeover` is called when somebody has joined with the identity of this
    agent, which puts it out. Sounds that come are put into `sounds`, if there is such a place.
    """

    def __init__(
        self,
        room: rtc.Room,
        credentials: LiveKitCredentials,
        *,
        put_out: PutOut,
        origin: StreamOrigin | None = None,
        sounds: SoundShelf | None = None,
        log: ComplaintLog | None = None,
        on_takeover: Callable[[], None] = lambda: None,
        on_left_out: Callable[[], None] = lambda: None,
    ) -> None:
        self._room = room
        self._takeover = Takeover(room, credentials, on_takeover)
        self._desk: Desk | None = None
        self._log = log or ComplaintLog(logger)
        self._gate = RoomGate(room, self._log, put_out=put_out, on_left_out=on_left_out)
        self._outgoing: asyncio.Queue[Callable[[], Any]] = asyncio.Queue(_OUTGOING_LIMIT)
        self._incoming: asyncio.Queue[_Packet] = asyncio.Queue()
        self._told = 0
        """Events that everybody was to be told."""

        self._replies = Rates(_REPLIES_PER_MINUTE, burst=_REPLIES_AT_ONCE)
        self._chat_replies = Rates(_CHAT_REPLIES_PER_MINUTE, burst=1)
        self._sounds = sounds
        self._origin = origin or ServerMarks(STREAM_TOPICS)
        self._on_left_out = on_left_out
        self._is_serving = asyncio.Event()
        self._is_room_closed = False

    @property
    def is_room_closed(self) -> bool:
        """Whether somebody has closed the room, with all who were in it."""
        return self._is_room_closed

    def serve(self, desk: Desk) -> None:
        """Takes requests from now on. The room must be connected."""
        self._desk = desk
        self._room.on("data_received", self._on_packet)
        self._room.on("disconnected", self._on_disconnected)
        self._room.local_participant.add_rpc_interceptor(self._gate)
        for method in METHODS:
            self._room.local_participant.register_rpc_method(method, self._answering(desk, method))
        self._is_serving.set()

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._is_room_closed = reason in (
            rtc.DisconnectReason.ROOM_DELETED,
            rtc.DisconnectReason.ROOM_CLOSED,
        )
        self._takeover.on_disconnected(reason)

    def _on_packet(self, packet: rtc.DataPacket) -> None:
        with self._log.net("", "packet"):
            if packet.topic != SAY_TOPIC:
                return
            if self._gate.admits(packet.participant.identity if packet.participant else ""):
                now = asyncio.get_running_loop().time()
                self._incoming.put_nowait(_Packet(packet.data, self._sender(packet.participant), now))

    def _answering(self, desk: Desk, method: str) -> Callable[[rtc.RpcInvocationData], Awaitable[str]]:
        async def on_call(call: rtc.RpcInvocationData) -> str:
            received_at = asyncio.get_running_loop().time()
            with self._log.net(call.caller_identity, f"call of {method}"):
                sender = self._sender(self._room.remote_participants.get(call.caller_identity))
                payload = call.payload.encode(errors="surrogatepass")
                return json.dumps(await desk.answer_late(method, payload, sender, received_at))
            return _FAILED

        return on_call

    def take_event(self, event: Event | Rejection | QueueNews) -> None:
        """Queues an event for everybody in the room; of many rejections some are left out."""
        self._told += 1
        if isinstance(event, Rejection) and self._outgoing.qsize() >= _REJECTIONS_LIMIT:
            return  # whoever floods us must not keep others from learning what became of their texts
        payload = json.dumps(event.encode(), ensure_ascii=False)
        self._queue(lambda: self._room.local_participant.publish_data(payload, topic=EVENTS_TOPIC))

    async def run(self) -> None:
        """Reads what came and sends what is queued, each in order, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._gate.run())
            tasks.create_task(self._read_packets())
            tasks.create_task(self._read_streams())
            tasks.create_task(self._read_sounds())
            tasks.create_task(self._send())

    async def _read_packets(self) -> None:
        while True:
            packet = await self._incoming.get()
            with self._log.net(packet.sender.identity, "packet"):
                self._read(packet)
            await asyncio.sleep(0)  # the SDK hands over all packets of a burst at once: sound goes first

    async def _read_streams(self) -> None:
        await self._is_serving.wait()
        if self._desk:
            streams = SayStreams(
                self._room,
                self._desk,
                self._origin,
                sender_of=lambda identity: self._sender(self._room.remote_participants.get(identity)),
                tell=self._tell_of_stream,
                put_out=self._gate.put_out,
                on_left_out=self._on_left_out,
                log=self._log,
            )
            await streams.run()

    async def _read_sounds(self) -> None:
        await self._is_serving.wait()
        if self._desk and self._sounds:
            await SoundStreams(self._room, self._desk, self._sounds, log=self._log).run()

    def _read(self, packet: _Packet) -> None:
        if not self._desk:
            return
        identity, told = packet.sender.identity, self._told
        answer = self._desk.answer(SAY_METHOD, packet.payload, packet.sender, packet.received_at)
        is_told = self._told > told
        if "rejected" in answer and not is_told:
            self._tell_sender(identity, answer, packet.received_at)
        elif "rejected" not in answer and is_told:  # not one that has come before: that is not worth a line
            logger.info("Received data packet from %s: topic='say'", named(identity))

    def _tell_sender(self, identity: str, answer: dict[str, Any], now: float) -> None:
        """Queues an event for one participant: its packet was refused, and nobody else is told."""
        if (
            not identity
            or self._outgoing.qsize() >= _REJECTIONS_LIMIT
            or self._replies.fits_in_s(identity, now)
        ):
            return
        self._replies.take(identity, now)
        payload = json.dumps({"state": "rejected", **answer})
        self._queue(
            lambda: self._room.local_participant.publish_data(
                payload, topic=EVENTS_TOPIC, destination_identities=[identity]
            )
        )

    def _tell_of_stream(self, identity: str, topic: str, answer: dict[str, Any]) -> None:
        """The same for a text stream; on LiveKit's pages it stands in the chat where it was typed."""
        now = asyncio.get_running_loop().time()
        self._tell_sender(identity, answer, now)
        participant = self._room.remote_participants.get(identity)
        # Agents do not chat with each other: neither would have the last word.
        if topic != CHAT_TOPIC or participant is None or is_agent(participant):
            return
        if not self._chat_replies.fits_in_s(identity, now):
            self._chat_replies.take(identity, now)
            words = f"Not spoken: {answer['message']}."
            self._queue(
                lambda: self._room.local_participant.send_text(
                    words, topic=CHAT_TOPIC, destination_identities=[identity]
                )
            )

    async def _send(self) -> None:
        while True:
            send = await self._outgoing.get()
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await send()
            except TimeoutError:
                self._tell_of_events(f"not sent within {_SEND_TIMEOUT_S:g} s")
            except Exception as error:  # the SDK has one class per call
                self._tell_of_events(f"not sent: {error}")
            self._outgoing.task_done()

    def _tell_of_events(self, trouble: str) -> None:
        self._log.tell(self._room.local_participant.identity, "events", trouble)

    async def flush(self) -> None:
        """Waits until everything queued has been sent; the bound is the caller's."""
        await self._outgoing.join()

    def _queue(self, send: Callable[[], Any]) -> None:
        if self._outgoing.full():
            self._tell_of_events("left out: they come faster than the room takes them")
            return
        self._outgoing.put_nowait(send)

    async def look_for_takeover(self, epoch: str) -> None:
        """Asks LiveKit who has the identity of this agent, of that epoch, now that its job ends."""
        await self._takeover.look(epoch)

    def _sender(self, participant: rtc.RemoteParticipant | None) -> Sender:
        # Nobody to name may be a hidden or a newly joined participant as well as the server: never trusted.
        # Nor can it be asked for later: the SDK gives such a packet without its sender's identity.
        if participant is None:
            return Sender()
        # Who may change its own attributes may have given itself this one.
        is_given = not participant.permissions.can_update_metadata and not is_agent(participant)
        permission = participant.attributes.get(CAN_SAY_ATTRIBUTE, "") if is_given else ""
        return Sender(participant.identity, permission)
