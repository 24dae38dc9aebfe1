from __future__ import annotations

import asyncio

import pytest

from libacli.edges.voices.waits import Waits
from libacli.errors import VoiceStalledError


def waits(*, first_s: float = 10.0, stall_s: float = 5.0, total_s: float = 60.0) -> Waits:
    return Waits(first_s=first_s, stall_s=stall_s, total_s=total_s)


async def test_the_outcome_of_what_is_waited_for_comes_back() -> None:
    assert await waits().on(asyncio.sleep(9.9, "outcome")) == "outcome"


async def test_all_waiting_before_the_first_sound_has_one_bound() -> None:
    patience = waits()
    await patience.on(asyncio.sleep(6))
    with pytest.raises(VoiceStalledError, match="sent nothing for 10 s"):
        await patience.on(asyncio.sleep(5))
    assert asyncio.get_running_loop().time() == 10


async def test_after_the_first_sound_each_wait_has_the_bound_of_a_stall() -> None:
    patience = waits()
    await patience.on(asyncio.sleep(9))
    patience.sounds()
    for _ in range(3):
        await patience.on(asyncio.sleep(4.9))
    with pytest.raises(VoiceStalledError, match="sent nothing for 5 s"):
        await patience.on(asyncio.sleep(5.1))


async def test_all_waiting_together_has_a_bound_too() -> None:
    patience = waits(total_s=12)
    patience.sounds()
    await patience.on(asyncio.sleep(4))
    await patience.on(asyncio.sleep(4))
    with pytest.raises(VoiceStalledError, match="longer than 12 s"):
        await patience.on(asyncio.sleep(4.5))


async def test_the_time_in_which_nothing_is_asked_for_is_not_counted() -> None:
    patience = waits(total_s=12)
    await patience.on(asyncio.sleep(4))
    await asyncio.sleep(100)
    await patience.on(asyncio.sleep(4))


async def test_what_took_too_long_is_cancelled() -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(asyncio.sleep(100))
        with pytest.raises(VoiceStalledError):
            await waits().on(task)
    assert task.cancelled()
