"""Byte streams that bring sounds to an agent: taken from who has signed them, within bounds, one by one."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Any

from livekit import rtc

from libacli.complaint_log import ComplaintLog, named
from libacli.core.flac_info import read_flac_info
from libacli.core.given_sound import most_bytes
from libacli.core.protocol import SIGNATURE_ATTRIBUTE, SOUND_TOPIC
from libacli.core.reasons import refusal
from libacli.core.sound_shelf import SoundShelf
from libacli.errors import RefusedError
from libacli.speech.desk import Desk

logger = logging.getLogger("liba.room")

ID_ATTRIBUTE = "liba.id"
"""Of a stream: the id of the say request that comes with it."""

SHA256_ATTRIBUTE = "liba.sha256"
"""Of its bytes, in hex."""

_OPEN_LIMIT = 4
_IDLE_S = 20.0
"""Who sends nothing for so long is gone."""

_LONGEST_S = 600.0


def announced(utterance_id: str, sha256: str, size: int) -> dict[str, Any]:
    """What a signature for a stream is bound to, besides the room and the agent."""
    return {"id": utterance_id, "sha256": sha256, "bytes": size}


@dataclass(frozen=True)
class _Coming:
    reader: rtc.ByteStreamReader
    identity: str
    sha256: str
    size: int


class SoundStreams:
    """Puts the sounds that come on the topic `liba.audio` onto `shelf`, by the rules of `desk`.

    What is not signed, too large, or more than there is room for is closed before any of it is read; what
    turns out to be larger than it said, or another one, is dropped. Who has sent it learns so from the answer
    to the request that refers to it.
    """

    def __init__(self, room: rtc.Room, desk: Desk, shelf: SoundShelf, *, log: ComplaintLog) -> None:
        self._room = room
        self._desk = desk
        self._shelf = shelf
        self._log = log
        self._opened: asyncio.Queue[_Coming] = asyncio.Queue()
        self._open: set[rtc.ByteStreamReader] = set()

    async def run(self) -> None:
        """Reads until cancelled; none is left open then."""
        self._room.register_byte_stream_handler(SOUND_TOPIC, self._on_opened)
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    tasks.create_task(self._read(await self._opened.get()))
        finally:
            for reader in list(self._open):
                self._close(reader)

    def _on_opened(self, reader: rtc.ByteStreamReader, identity: str) -> None:
        coming = None
        with self._log.net(identity, "sound"):
            try:
                coming = self._admitted(reader, identity)
            except RefusedError as error:
                self._log.tell(identity, "sound", f"not taken: {error}")
        if coming:
            self._open.add(reader)
            self._opened.put_nowait(coming)
        else:
            reader.close()  # the SDK keeps what nobody reads

    def _admitted(self, reader: rtc.ByteStreamReader, identity: str) -> _Coming:
        """Raises RefusedError."""
        attributes, size = reader.info.attributes or {}, reader.info.size or 0
        sha256 = attributes.get(SHA256_ATTRIBUTE, "")
        body = announced(attributes.get(ID_ATTRIBUTE, ""), sha256, size)
        self._desk.admit_sound(body, attributes.get(SIGNATURE_ATTRIBUTE))
        if not 0 < size <= most_bytes(self._desk.max_sound_s):
            raise refusal("sound_too_long", f"a sound may last {self._desk.max_sound_s:g} s")
        if len(self._open) >= _OPEN_LIMIT:
            raise refusal("too_many_requests", f"{_OPEN_LIMIT} sounds are coming already")
        self._shelf.check_room(size + sum(one.info.size or 0 for one in self._open), _now())
        return _Coming(reader, identity, sha256, size)

    async def _read(self, coming: _Coming) -> None:
        try:
            with self._log.net(coming.identity, "sound"):
                await self._take_or_drop(coming)
        finally:
            self._close(coming.reader)

    async def _take_or_drop(self, coming: _Coming) -> None:
        try:
            await self._take(coming)
        except (RefusedError, rtc.StreamError, TimeoutError) as error:
            self._log.tell(coming.identity, "sound", f"dropped: {str(error) or 'it does not come on'}")

    async def _take(self, coming: _Coming) -> None:
        """Raises RefusedError, rtc.StreamError, TimeoutError."""
        data = await _whole(coming)
        if len(data) != coming.size or hashlib.sha256(data).hexdigest() != coming.sha256:
            raise RefusedError("malformed", "it is not what was announced")
        try:
            read_flac_info(data)
        except ValueError as error:
            raise RefusedError("malformed", str(error)) from error
        self._shelf.put(coming.sha256, data, _now())
        logger.info("Received a sound from %s: %d bytes", named(coming.identity), len(data))

    def _close(self, reader: rtc.ByteStreamReader) -> None:
        self._open.discard(reader)
        reader.close()


async def _whole(coming: _Coming) -> bytes:
    """All of it, or a little more than was announced."""
    data = bytearray()
    async with asyncio.timeout(_LONGEST_S):
        while len(data) <= coming.size:
            try:
                async with asyncio.timeout(_IDLE_S):
                    data += await anext(coming.reader)
            except StopAsyncIteration:
                break
    return bytes(data)


def _now() -> float:
    return asyncio.get_running_loop().time()
