"""Tasks that a test leaves behind: nobody waits for them, and nobody sees them fail."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Any

_ROUNDS = 10
"""Of the loop, until what was cancelled has ended: each task it goes through takes a round."""

_GRACE_S = 1.0
"""On a real clock, for the SDK's tasks that end when its native part has answered."""


async def leaked(before: Set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Tasks that were not there before and do not end by themselves at once."""
    for _ in range(_ROUNDS):
        if not (left := _pending(before)):
            return []
        await asyncio.sleep(0)
    if asyncio.get_running_loop().time.__func__ is asyncio.BaseEventLoop.time:  # type: ignore[attr-defined]
        await asyncio.wait(left, timeout=_GRACE_S)
    return _pending(before)


def _pending(before: Set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    new = asyncio.all_tasks() - before
    return [task for task in new if not task.done() and not _is_the_runners(task)]


def _is_the_runners(task: asyncio.Task[Any]) -> bool:
    """AnyIO's own, that run the tests and their fixtures."""
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")
