"""Hears what an agent tells of what it says, for the captions of a recording."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials
from libacli.core.caption_track import CaptionTrack
from libacli.core.messages import parse_object
from libacli.core.protocol import CAPTION_TOPIC, EVENTS_TOPIC
from libacli.core.room_update import CaptionPart
from libacli.edges.livekit.caption_signature import caption_check
from libacli.edges.livekit.captions import CaptionReader
from libacli.edges.livekit.participants import epoch_of_agent
from libacli.errors import RefusedError

logger = logging.getLogger("liba.recorder")


class CaptionListener:
    """Puts the captions of the agent of that name in `room`, which it has signed, into `track`."""

    def __init__(
        self,
        room: rtc.Room,
        track: CaptionTrack,
        credentials: LiveKitCredentials,
        *,
        agent_name: str,
        previous: LiveKitCredentials | None = None,
    ) -> None:
        self._room = room
        self._track = track
        self._agent_name = agent_name
        self._log = ComplaintLog(logger)
        check = caption_check(credentials, lambda: room.name, previous=previous)
        self._reader = CaptionReader(self._is_believed, check, lambda caption: None, on_part=self._on_part)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Until the end of the context; it is to begin before the room is joined."""
        self._room.on("data_received", self._on_data)
        self._room.register_text_stream_handler(CAPTION_TOPIC, self._reader.on_opened)
        async with self._reader.reading():
            yield

    def _on_part(self, part: CaptionPart) -> None:
        self._track.take(part, _now())

    def _on_data(self, packet: rtc.DataPacket) -> None:
        with self._log.net("", "event"), suppress(RefusedError, UnicodeDecodeError):
            epoch = epoch_of_agent(packet.participant, self._agent_name)
            if packet.topic != EVENTS_TOPIC or not epoch:
                return
            event = parse_object(packet.data.decode())
            if event.get("epoch") == epoch and event.get("state") == "audible":
                self._track.audible(str(event.get("id")), _now())

    def _is_believed(self, identity: str) -> bool:
        return bool(epoch_of_agent(self._room.remote_participants.get(identity), self._agent_name))


def _now() -> float:
    return asyncio.get_running_loop().time()
