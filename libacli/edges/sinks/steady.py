"""A Sink for a room whose connection comes and goes: nothing is spoken into the void."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from livekit import rtc

from libacli.core.bounds import Bounds
from libacli.errors import CutOffError, SinkError
from libacli.speech.ports import Playback, Route, Sink


class Audience(Protocol):
    """Those whom the sound is for."""

    async def ready(self, *, within_s: float) -> None:
        """Waits until all of them hear it, so long at most. Raises nothing."""


class SteadySink:
    """Plays through another Sink, and only while the room is connected: an utterance waits until it is.

    An utterance under which the connection was made anew ends with CutOffError: some of it was not heard. One
    that was merely resumed lost nothing, and goes on. None begins before `own` is set: the room is this
    agent's, and was not given to another one meanwhile; nor before `returning` returns: who was thrown out
    with the agent is back; nor before the `audience` hears it.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: Sink,
        *,
        bounds: Bounds | None = None,
        own: asyncio.Event | None = None,
        returning: Callable[[], Awaitable[None]] | None = None,
        audience: Audience | None = None,
    ) -> None:
        self._sink = sink
        self._own = own or _known()
        self._returning = returning
        self._bounds = bounds or Bounds()
        self._audience = audience
        self._connected = asyncio.Event()
        self._connected.set()
        self._is_broken = False
        room.on("reconnecting", lambda *_: self._connected.clear())
        room.on("reconnected", lambda *_: self._connected.set())
        room.on("local_track_republished", self._on_made_anew)

    async def start(self, on_audible: Callable[[], None]) -> Route:
        await self._until(self._connected, self._own)
        if self._returning:
            await self._returning()
            await self._until(self._connected, self._own)  # it may have been lost once more
        if self._audience:
            await self._audience.ready(within_s=self._bounds.audience_s)
        self._is_broken = False
        return await self._sink.start(on_audible)

    async def write(self, frames: bytes) -> None:
        self._check()
        await self._sink.write(frames)

    async def finish(self) -> Playback:
        playback = await self._sink.finish()
        await self._until(self._connected)
        self._check()
        return playback

    async def clear(self) -> None:
        await self._sink.clear()

    async def aclose(self) -> None:
        await self._sink.aclose()

    async def _until(self, *conditions: asyncio.Event) -> None:
        """Waits for all of them, within one bound: whoever is outside waits little longer than that."""
        try:
            async with asyncio.timeout(self._bounds.connection_s):
                for condition in conditions:
                    await condition.wait()
        except TimeoutError as error:
            if not self._connected.is_set():
                raise SinkError("there was no connection to LiveKit") from error
            raise SinkError("it was not known whether the room is still this agent's") from error

    def _check(self) -> None:
        if self._is_broken:
            raise CutOffError("the connection to LiveKit was lost under it")

    def _on_made_anew(self, *_: object) -> None:
        self._is_broken = True


def _known() -> asyncio.Event:
    """Of a room that is its agent's whatever happens."""
    known = asyncio.Event()
    known.set()
    return known
