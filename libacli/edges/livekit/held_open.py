"""A context that callbacks of the SDK enter and leave, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager


class HeldOpen:
    """A context that is entered in one task and left in another, as the SDK's callbacks are.

    A task of its own lives in it: a task group, or a bound, ends in the task that it began in.
    """

    def __init__(self, context: AbstractAsyncContextManager[None]) -> None:
        self._context = context
        self._is_entered = False
        self._is_decided = asyncio.Event()
        """Set when the context was entered, and when that failed."""

        self._leaving = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self._task is None or self._task.done()

    async def enter(self) -> None:
        """Returns when the context was entered. Raises what that raises."""
        # No task group could own it: there is no task that lives from here to `leave`.
        self._task = self._loop.create_task(self._stay())
        await self._is_decided.wait()
        if self._task.done():
            self._task.result()

    async def leave(self) -> None:
        """Returns when it was left; to be cancelled cuts only the waiting short. Raises what that raises."""
        self._leaving.set()
        if self._task:
            await asyncio.wait([self._task])
            if self._is_entered and not self._task.cancelled():
                self._task.result()

    def end_at_once(self, then: Callable[[], None] = lambda: None) -> None:
        """Cancels what goes on in the context, from any thread, then calls `then`. Does not wait for it."""
        self._loop.call_soon_threadsafe(self._cancel, then)

    def _cancel(self, then: Callable[[], None]) -> None:
        if self._task:
            self._task.add_done_callback(lambda _: then())
            self._task.cancel()

    async def _stay(self) -> None:
        try:
            async with self._context:
                self._is_entered = True
                self._is_decided.set()
                await self._leaving.wait()
        finally:
            self._is_decided.set()
