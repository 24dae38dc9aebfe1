"""Text streams that come as captions: read where they are believed, and closed, all of them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.messages import MAX_ID_CHARS
from libacli.core.protocol import AT_ATTRIBUTE, SIGNATURE_ATTRIBUTE, TEXT_ATTRIBUTE
from libacli.core.room_update import Caption, CaptionPart
from libacli.edges.livekit.background import in_background
from libacli.errors import RefusedError

logger = logging.getLogger("liba.watch")

_MAX_CHARS = 8 * 1024
"""Twice the longest text that an agent takes."""

_TIMEOUT_S = 2.0
"""What does not say at its head what it is comes in one or two packets, or is not going to be whole."""

_SPEECH_TIMEOUT_S = 600.0
"""The same for what is written while it is spoken."""

_OPEN_LIMIT = 4
"""An agent speaks one text at a time."""

_KEPT = 16
"""Utterances whose segments are put together."""

_MOST_SEGMENTS = 2_000
_OFFSET = re.compile("[0-9]{1,7}")


@dataclass(frozen=True)
class CaptionSegment:
    """What an utterance says with one breath, as it came."""

    id: str
    """That of the utterance, a slash, and its number; that of the utterance alone: all of it."""

    text: str

    @property
    def place(self) -> tuple[str, int]:
        """Which utterance's it is, and which of its segments."""
        utterance_id, slash, number = self.id.rpartition("/")
        is_part = slash and number.isdecimal() and number.isascii() and 0 < int(number) <= _MOST_SEGMENTS
        return (utterance_id, int(number)) if is_part else (self.id, 1)


Check = Callable[[str, CaptionSegment, str], None]


class CaptionReader:
    """Reads the captions of those whom `is_believed` names, and hands those to `take` that they have signed.

    `check` gets the identity, a segment and its signature, and raises RefusedError if it is not theirs. What
    `take` gets is all of an utterance so far, up to the end of what it says just now, and less where that was
    cut off. `on_part` gets each segment, when it begins to be heard and when it is over.

    The SDK runs every event of the process through each reader that is open, and keeps without bound what
    nobody reads: so each is read at once, so long and for so long, so many at a time, and closed whatever
    comes of it. All others are closed at once.
    """

    def __init__(
        self,
        is_believed: Callable[[str], bool],
        check: Check,
        take: Callable[[Caption], None],
        *,
        on_part: Callable[[CaptionPart], None] = lambda part: None,
    ) -> None:
        self._is_believed = is_believed
        self._check = check
        self._take = take
        self._on_part = on_part
        self._open: set[rtc.TextStreamReader] = set()
        self._opened: asyncio.Queue[tuple[rtc.TextStreamReader, str]] = asyncio.Queue()
        self._is_over = False
        self._speaking: set[str] = set()
        """Segments that are being read."""

        self._said: OrderedDict[str, dict[int, str]] = OrderedDict()
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
        segment_id, announced = _attribute(reader, "lk.segment_id"), _attribute(reader, TEXT_ATTRIBUTE)
        if not segment_id or segment_id in self._speaking:
            return
        if not announced:
            heard = await _heard(reader, within_s=_TIMEOUT_S)
        elif self._take_signed(
            CaptionSegment(segment_id, announced), identity, _attribute(reader, SIGNATURE_ATTRIBUTE)
        ):
            self._tell_part(CaptionSegment(segment_id, announced), reader)
            heard = await self._heard_of(segment_id, reader)
        else:
            return
        if heard is None:
            return
        segment = CaptionSegment(segment_id, heard)
        if heard == announced or self._take_signed(
            segment, identity, _attribute(reader, SIGNATURE_ATTRIBUTE)
        ):
            self._tell_part(segment, reader, is_over=True)

    def _tell_part(
        self, segment: CaptionSegment, reader: rtc.TextStreamReader, *, is_over: bool = False
    ) -> None:
        offset = _attribute(reader, AT_ATTRIBUTE)
        offset_ms = int(offset) if _OFFSET.fullmatch(offset) else None
        self._on_part(CaptionPart(*segment.place, segment.text, offset_ms, is_over))

    async def _heard_of(self, segment_id: str, reader: rtc.TextStreamReader) -> str | None:
        """What is heard, in the end, of a segment that was announced; no copy of it is read meanwhile."""
        self._speaking.add(segment_id)
        try:
            return await _heard(reader, within_s=_SPEECH_TIMEOUT_S)
        finally:
            self._speaking.discard(segment_id)

    def _take_signed(self, segment: CaptionSegment, identity: str, signature: str) -> bool:
        utterance_id, number = segment.place
        if not 0 < len(utterance_id) <= MAX_ID_CHARS or len(segment.text) > _MAX_CHARS:
            return False
        try:
            self._check(identity, segment, signature)
        except RefusedError as error:
            self._log.tell(identity, "caption", f"passed over: {error}")
            return False
        segments = self._said.setdefault(utterance_id, {})
        segments[number] = segment.text
        if len(self._said) > _KEPT:
            self._said.popitem(last=False)
        text = "".join(segments[number] for number in sorted(segments))
        self._take(Caption(utterance_id, text[:_MAX_CHARS]))
        return True

    def _close(self, reader: rtc.TextStreamReader) -> None:
        self._open.discard(reader)
        reader.close()


async def _heard(reader: rtc.TextStreamReader, *, within_s: float) -> str | None:
    """None: it is too long, or not whole in time."""
    text = ""
    try:
        async with asyncio.timeout(within_s):
            async for piece in reader:
                text += piece
                if len(text) > _MAX_CHARS:
                    return None
    except (TimeoutError, rtc.StreamError):
        return None
    return text


def _attribute(reader: rtc.TextStreamReader, name: str) -> str:
    """As its head has it, or once it has ended, its end."""
    return (reader.info.attributes or {}).get(name, "")
