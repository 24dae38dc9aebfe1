"""An event loop whose clock moves only when nothing else is to do: no test waits, all times are exact.

While a thread works that the loop has started (`asyncio.to_thread`) the clock stands: it takes no time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
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
    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._idle.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._idle.threads -= 1


BACKEND: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": VirtualLoop, "debug": True})
