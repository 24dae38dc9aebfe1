"""What goes on beside a context: listening, watching, reading, recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def in_background(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `jobs` until the end of the context; one that fails ends it with its error.

    Unlike a task group's, errors come out as they are, those of the context and those of the jobs.
    """
    first: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(job) for job in jobs]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as group:
        first = group.exceptions[0]
    while isinstance(first, BaseExceptionGroup):  # a job may be a task group itself
        first = first.exceptions[0]
    if first:
        raise first
