"""An event loop whose clock moves only when nothing else is to do: no test waits, all times are exact.

While a thread works that the loop has started (`asyncio.to_thread`) the clock stands: it takes no time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class _IdleSelector(selectors.DefaultSelector):
    """When nothing is ready, moves the loop's clock to the next timer instead of waiting for it."""

    now = 0.0
    threads = 0
    """How many work for the loop; each wakes it when it is done."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        is_awaited = timeout is None or (timeout > 0 and self.threads > 0)
        ready = super().select(None if is_awaited else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Refuses to be called from another thread, as asyncio's debug mode does.

    The rest of that mode notes the stack of each future and callback, which is a third of what tests take:
    who wants it sets PYTHONASYNCIODEBUG=1.
    """

    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._refuse_other_threads()
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._refuse_other_threads()
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._idle.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _refuse_other_threads(self) -> None:
        if self.is_running() and asyncio._get_running_loop() is not self:
            raise RuntimeError("from another thread a loop is called by call_soon_threadsafe")

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._idle.threads -= 1


BACKEND: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": VirtualLoop})
