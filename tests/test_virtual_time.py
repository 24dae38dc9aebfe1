from __future__ import annotations

import asyncio
import time

import pytest


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_hours_pass_at_once() -> None:
    began_at, really_began_at = now(), time.monotonic()
    await asyncio.sleep(7200)
    assert now() - began_at == 7200
    assert time.monotonic() - really_began_at < 1


async def test_no_time_passes_while_a_thread_works() -> None:
    began_at = now()
    async with asyncio.timeout(0.01):
        await asyncio.to_thread(time.sleep, 0.1)
    assert now() == began_at


async def test_a_thread_that_nobody_waits_for_any_more_does_not_hold_the_clock() -> None:
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(asyncio.to_thread(time.sleep, 0.1))
        await asyncio.sleep(0)
        working.cancel()
    began_at = now()
    await asyncio.sleep(1)
    assert now() - began_at == 1


async def test_another_thread_may_not_call_the_loop_as_if_it_were_its_own() -> None:
    loop = asyncio.get_running_loop()
    for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print)):
        with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
            await asyncio.to_thread(call)
