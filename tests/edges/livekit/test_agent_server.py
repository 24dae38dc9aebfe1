"""What is told of room processes that do not get ready; the real ones: tests/test_slow_machine.py."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.rtc import EventEmitter

from libacli.edges.livekit.agent_server import RoomProcesses
from libacli.errors import LibaError, TimedOutError

IDLE = cast(Any, SimpleNamespace(active_jobs=[]))
BUSY = cast(Any, SimpleNamespace(active_jobs=["a room"]))
WITHIN_S = 60.0


class Pool(EventEmitter[str]):
    """Stands where the SDK's pool does; its clock is the loop's."""

    async def start(self, *, for_s: float, is_ready: bool = False) -> object:
        process = object()
        self.emit("process_created", process)
        self.emit("process_started", process)
        await asyncio.sleep(for_s)
        self.emit("process_ready" if is_ready else "process_closed", process)
        await asyncio.sleep(0)
        return process


def followed() -> tuple[RoomProcesses, Pool]:
    processes, pool = RoomProcesses(), Pool()
    processes.follow(cast(Any, pool), within_s=WITHIN_S)
    return processes, pool


@pytest.mark.parametrize(
    ("for_s", "error", "words"),
    [
        (WITHIN_S, TimedOutError, "was not ready within 60 s, 3 times in a row: this machine is too slow"),
        (1.0, LibaError, "ended before it was ready, 3 times in a row"),
    ],
)
async def test_three_starts_in_a_row_that_fail_are_the_end(
    for_s: float, error: type[LibaError], words: str
) -> None:
    processes, pool = followed()
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(processes.watch(IDLE))
            for _ in range(3):
                await pool.start(for_s=for_s)
            await asyncio.sleep(1)
    (raised,) = caught.value.exceptions
    assert type(raised) is error and words in str(raised)


async def test_where_rooms_are_served_it_is_told_each_time_and_nothing_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processes, pool = followed()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(processes.watch(BUSY))
        for _ in range(4):
            await pool.start(for_s=WITHIN_S)
        watching.cancel()
    assert len(caplog.messages) == 4
    assert caplog.messages[-1].startswith(
        "a room process was not ready within 60 s, 4 times in a row; give it"
    )


async def test_one_that_gets_ready_is_a_new_beginning() -> None:
    processes, pool = followed()
    assert (processes.has_ready, processes.trouble) == (False, "")
    await pool.start(for_s=WITHIN_S)
    assert processes.trouble == "a room process was not ready within 60 s"
    ready = await pool.start(for_s=59, is_ready=True)
    assert (processes.has_ready, processes.trouble) == (True, "")
    pool.emit("process_closed", ready)
    assert (processes.has_ready, processes.trouble) == (False, "")
