"""What happens to a viewer whose hearing or seeing breaks."""

from __future__ import annotations

import asyncio

import pytest

from libacli.edges.livekit.background import in_background
from libacli.errors import UnreachableError


async def lasts() -> None:
    await asyncio.sleep(3600)


async def breaks(after_s: float = 0.0) -> None:
    async with asyncio.TaskGroup() as tasks:  # as a listener's `run`, which has a task for each track
        tasks.create_task(breaks_alone(after_s))


async def breaks_alone(after_s: float) -> None:
    await asyncio.sleep(after_s)
    raise RuntimeError("the stream is broken")


async def test_what_runs_beside_ends_with_the_context() -> None:
    before = asyncio.all_tasks()
    async with in_background(lasts(), lasts()):
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks() - before) == 2
    assert asyncio.all_tasks() == before


async def test_a_listener_that_breaks_ends_the_context_with_its_error() -> None:
    with pytest.raises(RuntimeError, match="the stream is broken"):
        async with in_background(lasts(), breaks()):
            await asyncio.sleep(3600)


async def test_a_listener_that_breaks_is_no_timeout_of_the_context() -> None:
    with pytest.raises(RuntimeError, match="the stream is broken"):
        async with in_background(breaks()), asyncio.timeout(3600):
            await asyncio.sleep(3600)


async def test_a_listener_that_breaks_at_the_end_is_told_too() -> None:
    async def breaks_when_cancelled() -> None:
        try:
            await lasts()
        finally:
            raise RuntimeError("the stream does not close")

    with pytest.raises(RuntimeError, match="does not close"):
        async with in_background(breaks_when_cancelled()):
            await asyncio.sleep(0.01)


async def test_an_error_of_the_context_comes_out_as_it_is() -> None:
    cause = OSError("gone")
    with pytest.raises(UnreachableError) as caught:
        async with in_background(lasts()):
            raise UnreachableError("the server is gone") from cause
    assert caught.value.__cause__ is cause


async def test_cancelling_from_outside_stays_cancelling() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            async with in_background(lasts()):
                await asyncio.sleep(3600)
