"""What comes of one text stream, piece by piece, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from livekit import rtc

from libacli.core.messages import MAX_REQUEST_BYTES
from libacli.core.sentences import LINE_LULL_S, SENTENCE_LULL_S
from libacli.core.streamed_text import StreamedText
from libacli.errors import RefusedError

_MAX_CHARS = 100_000
"""Of one stream: two hours of speech, and what an agent speaks in one at most."""

_IDLE_S = 30.0
"""Who writes nothing for so long has finished."""

_REQUEST_S = 2.0
"""How long a request may take that is read as a whole: it comes in one or two packets."""

_LULLS = (
    (SENTENCE_LULL_S, SENTENCE_LULL_S),
    (LINE_LULL_S - SENTENCE_LULL_S, LINE_LULL_S),
    (_IDLE_S, _IDLE_S),
)
"""Seconds to wait for more, and what that means then."""


class StreamPieces:
    """What comes of one stream, read at once: the SDK keeps without bound what nobody reads."""

    def __init__(self, reader: rtc.TextStreamReader) -> None:
        self._reader = reader
        self._queue: asyncio.Queue[tuple[str | None, float]] = asyncio.Queue()
        self._first: tuple[str | None, float] | None = None
        self._is_broken = False

    async def receive(self) -> None:
        """Until its end. Raises RefusedError when it is too long."""
        count = 0
        try:
            async for piece in self._reader:
                count += len(piece)
                if count > _MAX_CHARS:
                    raise RefusedError("text_too_long", f"the stream has more than {_MAX_CHARS} characters")
                self._queue.put_nowait((piece, _now()))
        except rtc.StreamError:
            self._is_broken = True
        finally:
            self._reader.close()
            self._queue.put_nowait((None, _now()))

    async def peek(self) -> str:
        """The first piece, which comes again; empty where there is none for a while."""
        try:
            async with asyncio.timeout(_IDLE_S):
                self._first = self._first or await self._queue.get()
        except TimeoutError:
            return ""
        return self._first[0] or ""

    async def whole(self) -> str:
        """All of it, or what there is of it when it is too long for a request, or late."""
        text = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(_REQUEST_S):
                while (piece := (await self._get())[0]) is not None and len(text) <= MAX_REQUEST_BYTES:
                    text += piece
        return text

    async def lines(self, text: StreamedText) -> AsyncGenerator[tuple[str, float]]:
        """What `text` makes of it, each with the moment it was complete.

        Of a stream that breaks off, what is not a whole line is dropped.
        """
        piece: str | None = ""
        while piece is not None:
            for wait_s, lull_s in _LULLS:
                try:
                    async with asyncio.timeout(wait_s):
                        piece, received_at = await self._get()
                    break
                except TimeoutError:
                    for line in text.lull(lull_s):
                        yield line, _now()
            else:
                piece, received_at = None, _now()
            for line in text.push(piece) if piece is not None else ():
                yield line, received_at
        if not self._is_broken:
            for line in text.flush():
                yield line, received_at

    async def _get(self) -> tuple[str | None, float]:
        if first := self._first:
            self._first = None
            return first
        return await self._queue.get()


def _now() -> float:
    return asyncio.get_running_loop().time()
