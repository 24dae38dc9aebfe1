"""A Sink for a room whose connection comes and goes: nothing is spoken into the void."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

from libacli.core.bounds import Bounds
from libacli.errors import SinkError
from libacli.speech.ports import Playback, Route, Sink


class SteadySink:
    """Plays through another Sink, and only while the room is connected: an utterance waits until it is.

    An utterance under which the connection was made anew ends with SinkError: some of it was not heard. One
    that was merely resumed lost nothing, and goes on. None begins before `own` is set: the room is this
    agent's, and was not given to another one meanwhile.
    """

    def __init__(
        self, room: rtc.Room, sink: Sink, *, bounds: Bounds | None = None, own: asyncio.Event | None = None
    ) -> None:
        self._sink = sink
        self._own = own
        self._bounds = bounds or Bounds()
        self._connected = asyncio.Event()
        self._connected.set()
        self._is_broken = False
        room.on("reconnecting", lambda *_: self._connected.clear())
        room.on("reconnected", lambda *_: self._connected.set())
        room.on("local_track_republished", self._on_made_anew)

    async def start(self, on_audible: Callable[[], None]) -> Route:
        await self._until_connected()
        if self._own:
            await self._own.wait()
        self._is_broken = False
        return await self._sink.start(on_audible)

    async def write(self, frames: bytes) -> None:
        self._check()
        await self._sink.write(frames)

    async def finish(self) -> Playback:
        playback = await self._sink.finish()
        await self._until_connected()
        self._check()
        return playback

    async def clear(self) -> None:
        await self._sink.clear()

    async def aclose(self) -> None:
        await self._sink.aclose()

    async def _until_connected(self) -> None:
        try:
            async with asyncio.timeout(self._bounds.connection_s):
                await self._connected.wait()
        except TimeoutError as error:
            raise SinkError("there was no connection to LiveKit") from error

    def _check(self) -> None:
        if self._is_broken:
            raise SinkError("the connection to LiveKit was lost under it")

    def _on_made_anew(self, *_: object) -> None:
        self._is_broken = True
