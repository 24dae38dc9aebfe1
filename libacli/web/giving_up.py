"""Ends work whose outcome nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

_Outcome = TypeVar("_Outcome")


async def unless_given_up(
    work: Coroutine[Any, Any, _Outcome], *reasons: Coroutine[Any, Any, object]
) -> _Outcome | None:
    """What `work` comes to; None when one of `reasons` to give it up came to its end before: it is cancelled.

    Raises what `work` raises.
    """
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work)
            watching = [tasks.create_task(_cancel_after(reason, working)) for reason in reasons]
            working.add_done_callback(lambda _: [watcher.cancel() for watcher in watching])
    except ExceptionGroup as failed:  # the caller knows nothing of a group
        failure = failed.exceptions[0]
    if failure:
        raise failure  # here, where it keeps its own cause
    return None if working.cancelled() else working.result()


async def client_left(request: Request) -> None:
    """Returns when the client has hung up. The body of `request` must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancel_after(reason: Coroutine[Any, Any, object], working: asyncio.Task[Any]) -> None:
    await reason
    working.cancel()
