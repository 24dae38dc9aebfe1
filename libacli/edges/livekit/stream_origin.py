"""Whether a text stream comes from whom it names: the server lets agents, avatars too, send in others' names.

It marks those as `generated`
(https://github.com/livekit/livekit/blob/v1.13.5/pkg/rtc/participant.go, `handleReceivedDataMessage`). The SDK
knows the mark, and its reader does not have it, so it is read where the SDK takes it from.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any, Protocol

logger = logging.getLogger("liba.room")

_TOLD_WITHIN_S = 1.0
"""The SDK hands the mark over with the stream itself; what comes later does not belong together."""

_KEPT = 256


class StreamOrigin(Protocol):
    """Tells forged streams from others."""

    async def is_own(self, stream_id: str) -> bool:
        """Whether the stream of that id, which has just been opened, comes from whom it names."""

    async def run(self) -> None:
        """Listens until cancelled."""


class ServerMarks:
    """The marks that the server puts on the text streams of this process, on these `topics`."""

    def __init__(self, topics: frozenset[str]) -> None:
        self._topics = topics
        self._forged: OrderedDict[str, bool] = OrderedDict()
        self._news = asyncio.Event()

    async def is_own(self, stream_id: str) -> bool:
        """One whose mark nobody tells of is none."""
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                while stream_id not in self._forged:
                    await self._news.wait()
        except TimeoutError:
            return False
        return not self._forged[stream_id]

    async def run(self) -> None:
        try:
            from livekit.rtc._ffi_client import FfiClient

            queue = FfiClient.instance.queue
        except (ImportError, AttributeError) as error:  # another version of the SDK
            logger.error("text streams are not taken: who sends them cannot be told: %s", error)
            return
        events = queue.subscribe(filter_fn=self._is_ours)
        try:
            while True:
                info = (await events.get()).room_event.text_stream_opened.reader.info
                self._note(info.stream_id, is_forged=info.generated)
        finally:
            queue.unsubscribe(events)

    def _is_ours(self, event: Any) -> bool:
        """Called by the SDK for each event of the process, in a thread of its own."""
        if event.WhichOneof("message") != "room_event":
            return False
        told = event.room_event
        return told.WhichOneof("message") == "text_stream_opened" and (
            told.text_stream_opened.reader.info.topic in self._topics
        )

    def _note(self, stream_id: str, *, is_forged: bool) -> None:
        # An id that comes again may be of somebody who saw it: if one is forged neither is believed.
        self._forged[stream_id] = is_forged or self._forged.get(stream_id, False)
        if len(self._forged) > _KEPT:
            self._forged.popitem(last=False)
        self._news.set()
        self._news = asyncio.Event()
