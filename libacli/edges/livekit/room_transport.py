"""The agent's side of a room: requests come in by RPC and data packet, events and captions go out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.event import Event, Rejection
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    CAPTION_TOPIC,
    EPOCH_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.participants import is_agent
from libacli.errors import LibaError
from libacli.speech.desk import Desk, Sender

logger = logging.getLogger("liba.room")

_OUTGOING_LIMIT = 1000
"""Events that wait to be sent: a whole queue that is stopped at once."""

_REJECTIONS_LIMIT = 100
"""Of the places above, so many are for refusals: the rest stays free for what was taken."""

_UNREAD_LIMIT = 128
"""Packets of one sender; what comes on top of them is left out. The default queue holds a quarter of it."""

_SEND_TIMEOUT_S = 60.0
"""Longer than the SDK goes on reconnecting: until then it holds what is sent, and sends it after that."""

_TAKEOVER_TIMEOUT_S = 0.5
"""One look before the drain: a server that is well answers within a tenth of it."""


class RoomTransport:
    """Connects a desk with a room. Callbacks of the room only take in or queue; `run` does the sending.

    `on_takeover` is called when somebody has joined with the identity of this agent, which puts it out.
    """

    def __init__(self, room: rtc.Room, *, on_takeover: Callable[[], None] = lambda: None) -> None:
        self._room = room
        self._on_takeover = on_takeover
        self._is_taken_over = False
        self._outgoing: asyncio.Queue[Callable[[], Any]] = asyncio.Queue(_OUTGOING_LIMIT)
        self._incoming: asyncio.Queue[Callable[[], Any]] = asyncio.Queue()
        self._unread: Counter[str] = Counter()
        self._left_out = 0

    def serve(self, desk: Desk) -> None:
        """Takes requests from now on. The room must be connected."""
        loop = asyncio.get_running_loop()

        def on_packet(packet: rtc.DataPacket) -> None:
            if packet.topic != SAY_TOPIC:
                return
            received_at, sender = loop.time(), self._sender(packet.participant)
            if self._unread[sender.identity] < _UNREAD_LIMIT:
                self._unread[sender.identity] += 1
                self._incoming.put_nowait(lambda: self._read(desk, packet.data, sender, received_at))
            else:
                self._left_out += 1

        self._room.on("data_received", on_packet)
        self._room.on("disconnected", self._on_disconnected)
        for method in (SAY_METHOD, STATUS_METHOD, STOP_METHOD):
            self._room.local_participant.register_rpc_method(method, self._answering(desk, method))

    def _answering(self, desk: Desk, method: str) -> Callable[[rtc.RpcInvocationData], Awaitable[str]]:
        async def on_call(call: rtc.RpcInvocationData) -> str:
            received_at = asyncio.get_running_loop().time()
            sender = self._sender(self._room.remote_participants.get(call.caller_identity))
            payload = call.payload.encode(errors="surrogatepass")
            return json.dumps(desk.answer(method, payload, sender, received_at))

        return on_call

    def take_event(self, event: Event | Rejection) -> None:
        """Queues an event for everybody in the room; of many rejections some are left out."""
        if isinstance(event, Rejection) and self._outgoing.qsize() >= _REJECTIONS_LIMIT:
            return  # whoever floods us must not keep others from learning what became of their texts
        payload = json.dumps(event.encode(), ensure_ascii=False)
        self._queue(lambda: self._room.local_participant.publish_data(payload, topic=EVENTS_TOPIC))

    def caption(self, text: str, *, utterance_id: str, track_sid: str) -> None:
        """Queues `text` as a standard LiveKit transcription, so that any client can show it."""
        attributes = {
            "lk.transcription_final": "true",
            "lk.segment_id": utterance_id,
            "lk.transcribed_track_id": track_sid,
        }
        self._queue(
            lambda: self._room.local_participant.send_text(text, topic=CAPTION_TOPIC, attributes=attributes)
        )

    async def run(self) -> None:
        """Reads what came and sends what is queued, each in order, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take())
            tasks.create_task(self._send())

    async def _take(self) -> None:
        while True:
            read = await self._incoming.get()
            read()
            if self._left_out:
                logger.warning("packets come faster than they are read; %d are left out", self._left_out)
                self._left_out = 0
            await asyncio.sleep(0)  # the SDK hands over all packets of a burst at once: sound goes first

    def _read(self, desk: Desk, payload: bytes, sender: Sender, received_at: float) -> None:
        self._unread[sender.identity] -= 1
        if not self._unread[sender.identity]:
            del self._unread[sender.identity]
        identity = sender.identity if sender.identity.isprintable() else repr(sender.identity)
        logger.info("Received data packet from %s: topic='say'", identity or "unknown")
        desk.answer(SAY_METHOD, payload, sender, received_at)

    async def _send(self) -> None:
        while True:
            send = await self._outgoing.get()
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await send()
            except TimeoutError:
                logger.warning("an event was not sent within %g s", _SEND_TIMEOUT_S)
            except Exception as error:  # the SDK has one class per call
                logger.warning("an event was not sent: %s", error)
            self._outgoing.task_done()

    async def flush(self) -> None:
        """Waits until everything queued has been sent; the bound is the caller's."""
        await self._outgoing.join()

    def _queue(self, send: Callable[[], Any]) -> None:
        if self._outgoing.full():
            logger.warning("events come faster than the room takes them; one is left out")
            return
        self._outgoing.put_nowait(send)

    async def look_for_takeover(self, credentials: LiveKitCredentials, epoch: str) -> None:
        """Asks LiveKit who has the identity of this agent, of that epoch, now that its job ends.

        The end of a job that LiveKit ended because of it may come sooner than the reason.
        """
        identity = self._room.local_participant.identity
        if self._room.local_participant.attributes.get(EPOCH_ATTRIBUTE) != epoch:
            return  # it has not been made known itself
        try:
            async with asyncio.timeout(_TAKEOVER_TIMEOUT_S), LiveKitApi(credentials) as api:
                present = await api.participants(self._room.name)
        except (LibaError, TimeoutError):
            return
        holders = [found for found in present if found.identity == identity]
        if any(holder.attributes.get(EPOCH_ATTRIBUTE) != epoch for holder in holders):
            self._report_takeover()

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if reason == rtc.DisconnectReason.DUPLICATE_IDENTITY:
            self._report_takeover()

    def _report_takeover(self) -> None:
        if self._is_taken_over:
            return
        self._is_taken_over = True
        logger.error(
            "TAKEOVER: somebody joined room %s with the identity of this agent, %s, and put it out: "
            "who can do that has the API secret, or tokens from somewhere that gives away agents' identities",
            self._room.name,
            self._room.local_participant.identity,
        )
        self._on_takeover()

    def _sender(self, participant: rtc.RemoteParticipant | None) -> Sender:
        # Nobody to name may be a hidden or a newly joined participant as well as the server: never trusted.
        # Nor can it be asked for later: the SDK gives such a packet without its sender's identity.
        if participant is None:
            return Sender()
        # Who may change its own attributes may have given itself this one.
        is_given = not participant.permissions.can_update_metadata and not is_agent(participant)
        permission = participant.attributes.get(CAN_SAY_ATTRIBUTE, "") if is_given else ""
        return Sender(participant.identity, permission)
