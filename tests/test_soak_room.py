"""When a line was over, as the rooms of the soak know it: what dies may have its end told long after."""

from __future__ import annotations

import asyncio

from tests.bench.soak_room import Said


async def test_an_end_that_is_told_late_is_dated_by_the_lines_own_count() -> None:
    now = asyncio.get_running_loop().time()
    said = Said(1, "one", at=now - 10.0, taken_at=now - 9.9)
    said.ended("done", {"total": 2000.0})
    assert said.ended_at == now - 7.9


async def test_an_end_is_never_later_than_it_was_told() -> None:
    now = asyncio.get_running_loop().time()
    for report in ({"total": 60_000.0}, {"total": None}, {}):
        said = Said(1, "one", at=now - 10.0, taken_at=now - 9.9)
        said.ended("done", report)
        assert said.ended_at == now
