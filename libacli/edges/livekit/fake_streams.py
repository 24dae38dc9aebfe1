"""What of a fake room a test scripts: the time that calls take, data streams, and the sound of tracks."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Generic, Literal, TypeVar, cast

from livekit import rtc

Call = Literal[
    "connect",
    "stream_bytes",
    "write",
    "aclose",
    "perform_rpc",
    "publish_data",
    "send_text",
    "stream_text",
    "write_text",
    "set_attributes",
]
"""What of the SDK takes time and may fail; `write` and `aclose` are those of a byte stream."""

Piece = TypeVar("Piece")
Step = float | Exception
"""What a scripted call does before its own part: take so many seconds, or raise this."""

HANG = math.inf
"""The step that never ends."""


class Script:
    """What goes wrong: steps of the calls to come, one list for each call, or of all that have none."""

    def __init__(self) -> None:
        self._next: dict[Call, deque[tuple[Step, ...]]] = defaultdict(deque)
        self._always: dict[Call, tuple[Step, ...]] = {}

    def play(self, call: Call, *steps: Step) -> None:
        """Sets what the next `call` without a script does first."""
        self._next[call].append(steps)

    def always(self, call: Call, *steps: Step) -> None:
        """Sets what every `call` does first that `play` says nothing of; no steps: nothing."""
        self._always[call] = steps

    async def perform(self, call: Call) -> None:
        waiting = self._next[call]
        for step in waiting.popleft() if waiting else self._always.get(call, ()):
            if isinstance(step, Exception):
                raise step
            await (asyncio.Event().wait() if step == HANG else asyncio.sleep(step))


class ScriptedWriter:
    """The sending end of a byte stream, which does what `script` says; `received` is the other end."""

    def __init__(self, script: Script, topic: str, attributes: Mapping[str, str]) -> None:
        self.topic = topic
        self.attributes = dict(attributes)
        self.chunks: list[bytes] = []
        """What was written and delivered."""

        self.is_closed = False
        """Whether `aclose` was called, whatever came of it: the SDK gives the stream up then."""

        self._given = script
        self._lock = asyncio.Lock()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def write(self, data: bytes) -> None:
        async with self._lock:
            if self.is_closed:
                raise RuntimeError("Cannot write after stream is closed")
            await self._given.perform("write")
            self.chunks.append(data)
            self._pieces.put_nowait(data)

    async def aclose(self, *, reason: str = "", attributes: Mapping[str, str] | None = None) -> None:
        if self.is_closed:
            raise RuntimeError("Stream already closed")
        self.is_closed = True
        await self._given.perform("aclose")
        self._pieces.put_nowait(None)

    async def received(self) -> AsyncGenerator[bytes]:
        """What was written, up to the close; without end where that failed."""
        while (piece := await self._pieces.get()) is not None:
            yield piece


class ScriptedTextWriter:
    """The sending end of a text stream; `attributes` are those of its head, once it is closed of its end."""

    def __init__(self, script: Script, topic: str, attributes: Mapping[str, str]) -> None:
        self.topic = topic
        self.attributes = dict(attributes)
        self.head = dict(attributes)
        self.pieces: list[tuple[float, str]] = []
        """What was written, and when, on the loop's clock."""

        self.is_closed = False
        self._given = script

    @property
    def text(self) -> str:
        return "".join(piece for _, piece in self.pieces)

    async def write(self, text: str) -> None:
        if self.is_closed:
            raise RuntimeError("Cannot write after stream is closed")
        await self._given.perform("write_text")
        self.pieces.append((asyncio.get_running_loop().time(), text))

    async def aclose(self, *, reason: str = "", attributes: Mapping[str, str] | None = None) -> None:
        if self.is_closed:
            raise RuntimeError("Stream already closed")
        self.is_closed = True
        self.attributes |= attributes or {}


class _Pieces(Generic[Piece]):
    """Brings `pieces` at once; a number among them is so many seconds, an exception is raised there."""

    def __init__(self, kind: type[Piece], pieces: tuple[Piece | Step, ...]) -> None:
        self._kind = kind
        self._pieces = deque(pieces)
        self.closed = asyncio.Event()

    async def next(self) -> Piece:
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, self._kind):
                return piece
            try:
                async with asyncio.timeout(None if piece == HANG else cast(float, piece)):
                    await self.closed.wait()
            except TimeoutError:
                continue
        raise StopAsyncIteration

    def close(self) -> None:
        self._pieces.clear()
        self.closed.set()


class ScriptedTextReader(rtc.TextStreamReader):
    """A text stream that brings `pieces`; see `_Pieces`."""

    def __init__(self, info: rtc.TextStreamInfo, pieces: tuple[str | Step, ...]) -> None:
        self._info = info
        self._given = _Pieces(str, pieces)
        self.closed = self._given.closed

    async def __anext__(self) -> str:
        return await self._given.next()

    def close(self) -> None:
        self._given.close()


class ScriptedByteReader(rtc.ByteStreamReader):
    """The same for a byte stream."""

    def __init__(self, info: rtc.ByteStreamInfo, pieces: tuple[bytes | Step, ...]) -> None:
        self._info = info
        self._given = _Pieces(bytes, pieces)
        self.closed = self._given.closed

    async def __anext__(self) -> bytes:
        return await self._given.next()

    def close(self) -> None:
        self._given.close()


class FakeTrack:
    """A remote audio or video track; `play` is what a subscriber hears, `sound_of` how he hears it."""

    def __init__(self, kind: rtc.TrackKind.ValueType, sid: str) -> None:
        self.kind = kind
        self.sid = sid
        self._sound: asyncio.Queue[bytes | None] = asyncio.Queue()

    def play(self, pcm: bytes) -> None:
        self._sound.put_nowait(pcm)

    def end(self) -> None:
        self._sound.put_nowait(None)

    async def sound(self) -> AsyncGenerator[bytes]:
        while (pcm := await self._sound.get()) is not None:
            yield pcm


def sound_of(track: Any) -> AsyncGenerator[bytes]:
    """PCM of a FakeTrack, where a function of an SDK's track is asked for."""
    assert isinstance(track, FakeTrack)
    return track.sound()


class FakeOrigin:
    """Knows which text streams are `forged`, by their ids."""

    def __init__(self) -> None:
        self.forged: set[str] = set()

    async def is_own(self, stream_id: str) -> bool:
        return stream_id not in self.forged

    async def run(self) -> None:
        await asyncio.Event().wait()
