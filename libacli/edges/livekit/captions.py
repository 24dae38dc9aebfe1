"""Text streams that come as captions: read where they are believed, and closed, all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.messages import MAX_ID_CHARS
from libacli.core.protocol import SIGNATURE_ATTRIBUTE
from libacli.core.room_update import Caption
from libacli.edges.livekit.background import in_background
from libacli.errors import RefusedError

logger = logging.getLogger("liba.watch")

_MAX_CHARS = 8 * 1024
"""Twice the longest text that an agent takes."""

_TIMEOUT_S = 2.0
"""A text comes in one or two packets: what is not whole by then is not going to be."""

_OPEN_LIMIT = 4
"""An agent begins one text at a time, and each is there within milliseconds."""


Check = Callable[[str, Caption, str], None]


class CaptionReader:
    """Reads the captions of those whom `is_believed` names, and hands those to `take` that they have signed.

    `check` gets the identity, the caption and its signature, and raises RefusedError if it is not theirs.

    The SDK runs every event of the process through each reader that is open, and keeps without bound what
    nobody reads: so each is read at once, so long and for so long, so many at a time, and closed whatever
    comes of it. All others are closed at once.
    """

    def __init__(
        self, is_believed: Callable[[str], bool], check: Check, take: Callable[[Caption], None]
    ) -> None:
        self._is_believed = is_believed
        self._check = check
        self._take = take
        self._open: set[rtc.TextStreamReader] = set()
        self._opened: asyncio.Queue[tuple[rtc.TextStreamReader, str]] = asyncio.Queue()
        self._is_over = False
        self._log = ComplaintLog(logger)

    def on_opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        """For the room's callback."""
        is_taken = False
        with self._log.net(identity, "caption"):
            is_free = len(self._open) < _OPEN_LIMIT and not self._is_over
            is_taken = is_free and self._is_believed(identity)
        if is_taken:
            self._open.add(reader)
            self._opened.put_nowait((reader, identity))
        else:
            reader.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Reads until the end of the context; none is left open then."""
        try:
            async with in_background(self._run()):
                yield
        finally:
            self._is_over = True
            for reader in list(self._open):
                self._close(reader)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._read(*await self._opened.get()))

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        try:
            with self._log.net(identity, "caption"):
                await self._read_signed(reader, identity)
        finally:
            self._close(reader)

    async def _read_signed(self, reader: rtc.TextStreamReader, identity: str) -> None:
        if caption := await _caption(reader):
            try:
                self._check(identity, caption, (reader.info.attributes or {}).get(SIGNATURE_ATTRIBUTE, ""))
            except RefusedError as error:
                self._log.tell(identity, "caption", f"passed over: {error}")
            else:
                self._take(caption)

    def _close(self, reader: rtc.TextStreamReader) -> None:
        self._open.discard(reader)
        reader.close()


async def _caption(reader: rtc.TextStreamReader) -> Caption | None:
    """None: it is too long, not whole in time, or of no utterance."""
    text = ""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for piece in reader:
                text += piece
                if len(text) > _MAX_CHARS:
                    return None
    except (TimeoutError, rtc.StreamError):
        return None
    utterance_id = (reader.info.attributes or {}).get("lk.segment_id", "")
    return Caption(utterance_id, text) if 0 < len(utterance_id) <= MAX_ID_CHARS else None
