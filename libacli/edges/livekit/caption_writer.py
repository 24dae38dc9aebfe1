"""Captions in step with speech, as standard LiveKit transcriptions: any client shows them.

As livekit-agents has them: a text stream on `lk.transcription` for each segment, which is written as it is
heard and closed as final (https://docs.livekit.io/agents/build/text/#transcriptions).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_MS
from libacli.core.author_text import AuthorText, sounding
from libacli.core.event import Event, Rejection
from libacli.core.passage import Passage
from libacli.core.protocol import AT_ATTRIBUTE, CAPTION_TOPIC, SIGNATURE_ATTRIBUTE, TEXT_ATTRIBUTE
from libacli.core.utterance import Utterance
from libacli.edges.livekit.caption_signature import sign_caption

logger = logging.getLogger("liba.room")

_SEGMENT, _FINAL, _TRACK = "lk.segment_id", "lk.transcription_final", "lk.transcribed_track_id"

_STEP_S = 0.25
"""Between two looks at what is heard: a word or two."""

_SEND_TIMEOUT_S = 5.0
"""What is later than that is no caption any more."""

_LONGEST_TEXT_BYTES = 8 * 1024
"""What a stream's head can hold besides; a longer text is told at its end."""

_KEPT = 64
"""Utterances that have begun and are not captioned yet: one, where the room takes captions."""


@dataclass
class _Segment:
    """A part of an utterance, for which the voice was asked at a time."""

    id: str
    passage: Passage
    said: int
    """Characters that were said before it; `chars` are its own."""

    chars: int
    start: int
    """Its place in the author's text, up to `end`; it is shown up to `shown`."""

    end: int
    shown: int
    writer: rtc.TextStreamWriter | None = None
    is_closed: bool = False


class CaptionWriter:
    """An Outlet that writes what is heard of each utterance into the room, while it is heard.

    `begin` is called with each when it begins; `spoken` tells what the voice reads of a text, `track_sid`
    whose sound it is. Each segment is signed: liba's own watchers believe no other one. Its head holds the
    whole of it, for them, and the stream as much as is heard: what an interruption cuts off is in no stream.
    """

    def __init__(
        self,
        room: rtc.Room,
        credentials: LiveKitCredentials,
        *,
        spoken: Callable[[str], Iterable[str]],
        track_sid: Callable[[Utterance], str],
        log: ComplaintLog | None = None,
    ) -> None:
        self._room = room
        self._credentials = credentials
        self._spoken = spoken
        self._track_sid = track_sid
        self._log = log or ComplaintLog(logger)
        self._begun: asyncio.Queue[Utterance] = asyncio.Queue(_KEPT)
        self._news = asyncio.Event()

    def begin(self, utterance: Utterance) -> None:
        """It is about to be heard. Returns at once."""
        if not self._begun.full():
            self._begun.put_nowait(utterance)

    def take_event(self, event: Event | Rejection) -> None:
        """Something has become of an utterance. Returns at once."""
        self._news.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            utterance = await self._begun.get()
            try:
                with self._log.net(self._room.local_participant.identity, "captions"):
                    await self._follow(utterance)
            finally:
                self._begun.task_done()

    async def flush(self) -> None:
        """Waits until all that has begun is written to its end; the bound is the caller's."""
        await self._begun.join()

    async def _follow(self, utterance: Utterance) -> None:
        """Raises what the SDK raises, which has one class per call, and TimeoutError."""
        segments: list[_Segment] = []
        while utterance.timeline.ta is None and not utterance.is_over:  # sound goes first
            await self._until_news()
        request = utterance.request
        text = AuthorText(request.words, [request.words] if request.sound else self._spoken(request.text))
        try:
            while True:
                is_over = utterance.is_over
                heard_s = utterance.heard_s(asyncio.get_running_loop().time())
                for segment, passage in zip(segments, utterance.passages, strict=False):
                    segment.passage = passage  # another one of the same, where it is said again
                for passage in utterance.passages[len(segments) :]:
                    segments.append(_segment(utterance, text, passage, segments))
                for segment in segments:
                    if not segment.is_closed:
                        await self._show(segment, utterance, text, heard_s, is_over=is_over)
                if is_over:
                    return
                await self._until_news()
        finally:
            for segment in segments:
                if segment.writer and not segment.is_closed:
                    with suppress(Exception):  # the SDK gives it up with the room at the latest
                        async with asyncio.timeout(_SEND_TIMEOUT_S):
                            await segment.writer.aclose()

    async def _show(
        self, segment: _Segment, utterance: Utterance, text: AuthorText, heard_s: float, *, is_over: bool
    ) -> None:
        share = segment.passage.heard(heard_s)
        is_heard = share >= 1
        place = segment.end if is_heard else text.shown(segment.said + share * segment.chars)
        place = min(place, segment.end)
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            if share > 0 and place > segment.shown:
                if segment.writer is None:
                    whole = text.words[segment.start : segment.end]
                    segment.writer = await self._open(segment, whole, utterance)
                await segment.writer.write(text.words[segment.shown : place])
                segment.shown = place
            if segment.writer and (is_heard or is_over):
                await self._close(segment, text.words[segment.start : segment.shown])

    async def _open(self, segment: _Segment, whole: str, utterance: Utterance) -> rtc.TextStreamWriter:
        attributes = {
            _FINAL: "false",
            _SEGMENT: segment.id,
            AT_ATTRIBUTE: str(_offset_ms(segment, utterance)),
        }
        if track_sid := self._track_sid(utterance):
            attributes[_TRACK] = track_sid
        if len(whole.encode()) <= _LONGEST_TEXT_BYTES:
            attributes |= {TEXT_ATTRIBUTE: whole, SIGNATURE_ATTRIBUTE: self._signature(segment, whole)}
        return await self._room.local_participant.stream_text(topic=CAPTION_TOPIC, attributes=attributes)

    async def _close(self, segment: _Segment, heard: str) -> None:
        assert segment.writer
        segment.is_closed = True
        await segment.writer.aclose(
            attributes={_FINAL: "true", SIGNATURE_ATTRIBUTE: self._signature(segment, heard)}
        )

    def _signature(self, segment: _Segment, text: str) -> str:
        room, me = self._room.name, self._room.local_participant.identity
        return sign_caption(self._credentials, room=room, agent=me, segment_id=segment.id, text=text)

    async def _until_news(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STEP_S):
                await self._news.wait()
        self._news.clear()


def _offset_ms(segment: _Segment, utterance: Utterance) -> int:
    """How much sound is between the utterance's first sound and this segment, in milliseconds."""
    return max(0, round(segment.passage.begins_s * 1000 - (utterance.first_sound or 0) * FRAME_MS))


def _segment(
    utterance: Utterance, text: AuthorText, passage: Passage, before: Sequence[_Segment]
) -> _Segment:
    """The one that follows those `before`."""
    said, start = (before[-1].said + before[-1].chars, before[-1].end) if before else (0, 0)
    chars = sounding(passage.text)
    end = max(start, text.place(said + chars))
    segment_id = f"{utterance.id}/{len(before) + 1}"
    return _Segment(segment_id, passage, said, chars, start=start, end=end, shown=start)
