"""The agent's side of a room: requests come in by RPC and data packet, events and captions go out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from livekit import rtc

from libacli.core.names import (
    CAN_SAY_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.speech.desk import Desk, Sender

logger = logging.getLogger("liba.room")

_CAPTION_TOPIC = "lk.transcription"
_OUTGOING_LIMIT = 1000
_SEND_TIMEOUT_S = 5.0


class RoomLink:
    """Connects a desk with a room. Callbacks of the room only take in or queue; `run` does the sending."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._outgoing: asyncio.Queue[Callable[[], Any]] = asyncio.Queue(_OUTGOING_LIMIT)

    def serve(self, desk: Desk) -> None:
        """Takes requests from now on. The room must be connected."""
        loop = asyncio.get_running_loop()

        def on_packet(packet: rtc.DataPacket) -> None:
            if packet.topic != SAY_TOPIC:
                return
            sender = self._packet_sender(packet)
            identity = sender.identity if sender.identity.isprintable() else repr(sender.identity)
            logger.info("Received data packet from %s: topic='say'", identity or "unknown")
            desk.say(packet.data, sender, loop.time())

        self._room.on("data_received", on_packet)
        for method, handle in {
            SAY_METHOD: desk.say,
            STATUS_METHOD: desk.status,
            STOP_METHOD: desk.stop,
        }.items():

            async def on_call(call: rtc.RpcInvocationData, handle: Any = handle) -> str:
                received_at = loop.time()
                sender = self._sender(self._room.remote_participants.get(call.caller_identity))
                return json.dumps(handle(call.payload.encode(errors="surrogatepass"), sender, received_at))

            self._room.local_participant.register_rpc_method(method, on_call)

    def announce(self, event: dict[str, Any]) -> None:
        """Queues an event for everybody in the room."""
        payload = json.dumps(event, ensure_ascii=False)
        self._queue(lambda: self._room.local_participant.publish_data(payload, topic=EVENTS_TOPIC))

    def caption(self, text: str, *, utterance_id: str, track_sid: str) -> None:
        """Queues `text` as a standard LiveKit transcription, so that any client can show it."""
        attributes = {
            "lk.transcription_final": "true",
            "lk.segment_id": utterance_id,
            "lk.transcribed_track_id": track_sid,
        }
        self._queue(
            lambda: self._room.local_participant.send_text(text, topic=_CAPTION_TOPIC, attributes=attributes)
        )

    async def run(self) -> None:
        """Sends what is queued, in order, until cancelled."""
        while True:
            send = await self._outgoing.get()
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await send()
            except TimeoutError:
                logger.warning("an event was not sent within %g s", _SEND_TIMEOUT_S)
            except Exception as error:  # the SDK has one class per call; while reconnecting all of them fail
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

    def _packet_sender(self, packet: rtc.DataPacket) -> Sender:
        return self._sender(packet.participant)

    def _sender(self, participant: rtc.RemoteParticipant | None) -> Sender:
        # Nobody to name may be a hidden or a newly joined participant as well as the server: never trusted.
        if participant is None:
            return Sender()
        is_agent = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        may_say = participant.attributes.get(CAN_SAY_ATTRIBUTE) == "true" and not is_agent
        return Sender(participant.identity, may_say)
