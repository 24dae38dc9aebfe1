from __future__ import annotations

import asyncio

import pytest

from libacli.edges.livekit.joining import to_the_end


async def test_what_the_step_returns_or_raises_is_passed_on() -> None:
    async def step(fails: bool) -> int:
        await asyncio.sleep(0)
        if fails:
            raise KeyError("missing")
        return 7

    assert await to_the_end(step(False)) == 7
    with pytest.raises(KeyError, match="missing"):
        await to_the_end(step(True))


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_step_that_is_cancelled_however_often_runs_to_its_end(times: int, fails: bool) -> None:
    go_on, is_over = asyncio.Event(), False

    async def step() -> None:
        nonlocal is_over
        await go_on.wait()
        is_over = True
        if fails:
            raise ConnectionError

    task = asyncio.get_running_loop().create_task(to_the_end(step()))
    for _ in range(times):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_over
