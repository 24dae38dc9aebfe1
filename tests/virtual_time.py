"""An event loop whose clock moves only when nothing else is to do: no test waits, all times are exact."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _IdleSelector(selectors.DefaultSelector):
    """When nothing is ready, moves the loop's clock to the next timer instead of waiting for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now


BACKEND: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": VirtualLoop, "debug": True})
