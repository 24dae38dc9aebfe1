from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from libacli.cli.runs.in_turn import in_turn

HOLD = """
import asyncio
from libacli.cli.runs.in_turn import in_turn
async def hold():
    async with in_turn("ws://one", "demo"):
        print("here", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "liba" / "waiting"


def waiting(folder: Path) -> int:
    return len([*folder.iterdir()])


async def say(word: str, said: list[str], *, room: str = "demo", reach_s: float = 0.0) -> None:
    async with in_turn("ws://one", room) as is_next:
        await asyncio.sleep(reach_s)
        await is_next()
        said.append(word)


async def test_who_came_first_speaks_first_though_the_agent_is_found_later(state: Path) -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        for number, reach_s in enumerate((0.5, 0.0, 0.2)):
            tasks.create_task(say(f"{number}", said, reach_s=reach_s))
            await asyncio.sleep(0.05)
    assert said == ["0", "1", "2"]
    assert waiting(state) == 0


async def test_rooms_do_not_wait_for_each_other() -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(say("slow", said, reach_s=0.5))
        await asyncio.sleep(0.05)
        tasks.create_task(say("quick", said, room="other"))
    assert said == ["quick", "slow"]


async def test_one_who_gives_up_lets_the_others_go_on() -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(say("never", said, reach_s=600))
        await asyncio.sleep(0.05)
        tasks.create_task(say("second", said))
        await asyncio.sleep(0.2)
        assert said == []
        first.cancel()
    assert said == ["second"]


async def test_one_who_was_killed_holds_nobody_up(state: Path) -> None:
    def killed() -> None:
        with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline() == b"here\n"
            process.send_signal(signal.SIGKILL)

    await asyncio.to_thread(killed)
    assert waiting(state) == 1
    said: list[str] = []
    async with asyncio.timeout(5):
        await say("after it", said)
    assert said == ["after it"]
    assert waiting(state) == 0


async def test_where_no_file_can_be_written_nobody_waits(state: Path) -> None:
    state.parent.mkdir(parents=True)
    await asyncio.to_thread(state.write_text, "")
    said: list[str] = []
    await say("all the same", said)
    assert said == ["all the same"]
