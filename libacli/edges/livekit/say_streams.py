"""Text streams that are say requests: spoken as they come, bounded in size, number and time."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from livekit import rtc

from libacli.complaint_log import ComplaintLog, named
from libacli.core.gate import Gate, Passage
from libacli.core.messages import MAX_ID_CHARS, MAX_TTL_MS
from libacli.core.protocol import CHAT_TOPIC, SAY_METHOD, SAY_TOPIC
from libacli.core.reasons import refusal_reason
from libacli.core.streamed_text import StreamedText
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.stream_origin import StreamOrigin
from libacli.edges.livekit.stream_pieces import StreamPieces
from libacli.errors import RefusedError
from libacli.speech.desk import Desk
from libacli.speech.permit import Sender

logger = logging.getLogger("liba.room")

STREAM_TOPICS = frozenset((SAY_TOPIC, CHAT_TOPIC))

_OPEN_LIMIT = 64
_OPEN_OF_ONE = 16
"""Streams that are read at a time, of all and of one sender. The SDK shows each of them all events."""

_LONGEST_S = 3600.0
"""From its beginning until all of it is queued: a whole queue may have to be spoken before."""

_KNOWN_WITHIN_S = 5.0
"""Of who has just joined the server tells every three seconds, of what he sends at once."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
"""Between two tries to queue a line that there is no place for."""

_SUSPECTS_KEPT = 16

Tell = Callable[[str, str, dict[str, Any]], None]
"""Tells a sender, of which there is this identity, that what it has sent on this topic is refused."""


@dataclass(frozen=True)
class _Talk:
    """A stream whose sender is known."""

    topic: str
    identity: str
    sender: Sender
    name: str
    """Id of its first line; the others have it with their number behind it."""

    stops: int
    """How often silence had been asked for when it began."""


class SayStreams:
    """Has the text streams spoken that come on the topics `say` and `lk.chat`, by the rules of `desk`.

    On `say` what is a JSON object is a request as any other. The rest is text. A line that finds no place in
    the queue waits for one, and the others of its sender behind it; when silence is asked for, what comes of
    the stream is dropped. Who may not speak is told so, by `tell`; one that goes on with more than 50 streams
    a second is `put_out`. What somebody sends in another's name is passed over.
    """

    def __init__(
        self,
        room: rtc.Room,
        desk: Desk,
        origin: StreamOrigin,
        *,
        sender_of: Callable[[str], Sender],
        tell: Tell,
        put_out: Callable[[str], None],
        on_left_out: Callable[[], None],
        log: ComplaintLog,
    ) -> None:
        self._room = room
        self._desk = desk
        self._origin = origin
        self._sender_of = sender_of
        self._tell = tell
        self._put_out = put_out
        self._on_left_out = on_left_out
        self._log = log
        self._gate = Gate()
        self._open: dict[rtc.TextStreamReader, str] = {}
        self._opened: asyncio.Queue[rtc.TextStreamReader] = asyncio.Queue()
        self._suspects: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_SUSPECTS_KEPT)
        self._arrival = asyncio.Event()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self) -> None:
        """Reads until cancelled; none is left open then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._origin.run())
                tasks.create_task(self._judge())
                await asyncio.sleep(0)  # nothing is to come before somebody tells where it comes from
                self._room.on("participant_connected", self._on_arrival)
                for topic in STREAM_TOPICS:
                    self._room.register_text_stream_handler(topic, self._on_opened)
                while True:
                    tasks.create_task(self._read(await self._opened.get()))
        finally:
            for reader in list(self._open):
                self._close(reader)

    def _on_opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        # What is not taken is closed: the SDK keeps what nobody reads.
        is_taken = False
        with self._log.net(identity, "text stream"):
            is_taken = self._admits(reader.info, identity)
        if is_taken:
            self._open[reader] = identity
            self._opened.put_nowait(reader)
        else:
            reader.close()

    def _on_arrival(self, participant: rtc.RemoteParticipant) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()

    async def _known(self, identity: str) -> Sender:
        """Who that is, once it is known; after a while as much as is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_KNOWN_WITHIN_S if identity else 0):
                while identity not in self._room.remote_participants:
                    await self._arrival.wait()
        return self._sender_of(identity)

    def _admits(self, info: rtc.TextStreamInfo, identity: str) -> bool:
        passage: Passage = self._gate.take(identity, asyncio.get_running_loop().time())
        if passage == "flooding" and not self._suspects.full():
            self._suspects.put_nowait((info.stream_id, identity))
        of_one = sum(other == identity for other in self._open.values())
        if passage == "admitted" and len(self._open) < _OPEN_LIMIT and of_one < _OPEN_OF_ONE:
            return True
        self._on_left_out()
        self._log.tell(identity, "text streams", "left out: too many at a time")
        return False

    async def _judge(self) -> None:
        """Puts those out who flood, unless somebody does it in their name."""
        while True:
            stream_id, identity = await self._suspects.get()
            if identity and await self._origin.is_own(stream_id):
                self._put_out(identity)

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        identity = self._open[reader]
        try:
            with self._log.net(identity, "text stream"):
                await self._speak(reader, identity)
        finally:
            self._close(reader)

    def _close(self, reader: rtc.TextStreamReader) -> None:
        self._open.pop(reader, None)
        reader.close()

    async def _speak(self, reader: rtc.TextStreamReader, identity: str) -> None:
        info = reader.info
        if not await self._origin.is_own(info.stream_id):
            self._log.tell(identity, "text stream", "passed over: somebody else sent it in that name")
            return
        name = info.stream_id if 0 < len(info.stream_id) <= MAX_ID_CHARS - 8 else uuid.uuid4().hex[:12]
        stops = self._desk.stops
        pieces = StreamPieces(reader)
        try:
            async with in_background(pieces.receive()), asyncio.timeout(_LONGEST_S):
                talk = _Talk(info.topic, identity, await self._known(identity), name, stops)
                if self._desk.takes(talk.sender):
                    await self._speak_as_it_comes(talk, pieces, info.size or None)
                else:
                    self._answer(talk, await pieces.whole())
        except TimeoutError:
            self._log.tell(identity, "text stream", f"not queued within {_LONGEST_S:g} s")
        except RefusedError as error:
            self._tell(identity, info.topic, {"rejected": error.reason, "message": str(error)})

    async def _speak_as_it_comes(self, talk: _Talk, pieces: StreamPieces, size: int | None) -> None:
        if talk.topic == SAY_TOPIC and (await pieces.peek()).lstrip().startswith("{"):
            self._answer(talk, await pieces.whole())
            return
        text = StreamedText(max_chars=self._desk.max_text_chars, size=size)
        count = 0
        async with aclosing(pieces.lines(text)) as lines:
            async for line, received_at in lines:
                count += 1
                name = talk.name if count == 1 else f"{talk.name}-{count}"
                request = {"text": line, "id": name, "ttl_ms": MAX_TTL_MS}  # it waits for those before it
                if not await self._hand_over(talk, request, received_at):
                    return
        if count:
            logger.info("Received text stream from %s: topic=%r", named(talk.identity), talk.topic)
        else:
            self._answer(talk, "")

    async def _hand_over(self, talk: _Talk, request: dict[str, Any], received_at: float) -> bool:
        """Queues it as soon as there is a place; False: it is not to be spoken, nor what comes behind it."""
        payload = json.dumps(request, ensure_ascii=False).encode(errors="surrogatepass")
        pause_s = _FIRST_PAUSE_S
        async with self._turns.setdefault(talk.identity, asyncio.Lock()):
            while self._desk.stops == talk.stops:
                answer = self._desk.answer(SAY_METHOD, payload, talk.sender, received_at)
                if "rejected" not in answer:
                    return True
                reason, again_in_s = refusal_reason(answer["rejected"]), answer.get("retry_in_s")
                if not (reason.is_brief or (reason.passes and again_in_s)):
                    self._tell(talk.identity, talk.topic, answer)
                    return reason.is_of_text
                await asyncio.sleep(max(pause_s, again_in_s or 0.0))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return False

    def _answer(self, talk: _Talk, text: str) -> None:
        """Has it answered as the one request that it is."""
        is_request = talk.topic == SAY_TOPIC and text.lstrip().startswith("{")
        source = text if is_request else json.dumps({"text": text, "id": talk.name}, ensure_ascii=False)
        payload = source.encode(errors="surrogatepass")
        now = asyncio.get_running_loop().time()
        answer = self._desk.answer(SAY_METHOD, payload, talk.sender, now)
        if "rejected" in answer:
            self._tell(talk.identity, talk.topic, answer)
