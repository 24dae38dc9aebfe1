"""Waiting for what happens in a room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from livekit import rtc


class RoomChanges:
    """Wakes who waits when somebody comes, goes, or publishes a track, or when one has come that was taken.

    One may wait at a time.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._changed = asyncio.Event()
        room.on("participant_connected", self._on_change)
        room.on("participant_disconnected", self._on_change)
        room.on("track_published", self._on_change)
        room.on("track_subscribed", self._on_change)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds; it is looked at after each change."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def next_or(self, other: asyncio.Event) -> None:
        """Waits for a change, or for `other`."""
        self._changed.clear()
        async with asyncio.TaskGroup() as tasks:
            waits = [tasks.create_task(self._changed.wait()), tasks.create_task(other.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def notice(self) -> None:
        """Something else has changed that may be waited for."""
        self._changed.set()

    def _on_change(self, *_: object) -> None:
        self._changed.set()


async def within(bound_s: float, what: Awaitable[object]) -> bool:
    """Whether `what` came about within `bound_s` seconds."""
    try:
        async with asyncio.timeout(bound_s):
            await what
    except TimeoutError:
        return False
    return True
