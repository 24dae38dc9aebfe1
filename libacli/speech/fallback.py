"""A sink of two: the avatar when it is there, the track when it is not, and nobody notices the change."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from libacli.core.bounds import Bounds
from libacli.errors import SinkError
from libacli.speech.ports import GatedSink, Playback, Route, Sink


class FallbackSink:
    """Plays each utterance on `first`, or on `second` when `first` cannot take it.

    An utterance that `first` loses on the way is repeated on `second` from its beginning, once. The choice is
    made anew for each utterance. What is heard comes from one of the two, never from both.
    """

    def __init__(self, first: GatedSink, second: Sink, *, bounds: Bounds | None = None) -> None:
        self._first = first
        self._second = second
        self._bounds = bounds or Bounds.derive(frame_s=5.0, gate_s=5.0)
        self._sink: Sink = second
        self._kept: deque[bytes] = deque()
        self._on_audible: Callable[[], None] = _nothing
        self._replay_route: Route | None = None
        self._is_cleared = False

    async def start(self, on_audible: Callable[[], None]) -> Route:
        self._kept.clear()
        self._replay_route = None
        self._is_cleared = False
        self._on_audible = on_audible
        reason = await self._first.gate()
        if not reason:
            try:
                route = await self._first.start(on_audible)
            except SinkError as error:
                reason = str(error)
            else:
                self._sink = self._first
                return route
        return await self._start_second(reason)

    async def write(self, frames: bytes) -> None:
        # They are kept until the end is confirmed: until then the avatar may lose them.
        self._kept.append(frames)
        if self._sink is self._first:
            try:
                await self._first.write(frames)
            except SinkError as error:
                await self._replay(error)
            return
        await self._second.write(self._kept.popleft())

    async def finish(self) -> Playback:
        if self._sink is self._first:
            try:
                playback = await self._first.finish()
            except SinkError as error:
                await self._replay(error)
            else:
                self._kept.clear()
                return playback
        while self._kept:
            async with asyncio.timeout(self._bounds.frame_s):
                await self._second.write(self._kept.popleft())
        playback = await self._second.finish()
        if self._replay_route:
            return replace(playback, replayed=True, route=self._replay_route)
        return playback

    async def clear(self) -> None:
        self._is_cleared = True
        self._kept.clear()
        await self._sink.clear()

    async def aclose(self) -> None:
        await self._first.aclose()
        await self._second.aclose()

    async def _start_second(self, reason: str) -> Route:
        route = await self._second.start(self._on_audible)
        self._sink = self._second
        return replace(route, reason=reason)

    async def _replay(self, lost: SinkError) -> None:
        """Goes on with the second sink; what was kept goes there with the frames that follow."""
        if self._is_cleared:
            raise lost
        await self._first.clear()
        self._replay_route = await self._start_second(str(lost))


def _nothing() -> None:
    pass
