from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libacli.core.hour import OWNER, Account, Hour
from libacli.edges.livekit.hour_file import HourFile, hour_path

ANN = Account("ann")
NOW = 1_800_000_000.0


class Clock:
    """POSIX seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # files are written in threads


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "characters.json"


class Agent:
    """One that counts in the file at `path`."""

    def __init__(self, path: Path, clock: Clock, *, name: str = "a1", key: str = "key") -> None:
        self.hour = Hour(1000)
        self.clock = clock
        self.file = HourFile(path, self.hour, api_key=key, agent=name, clock=clock)

    @property
    def used(self) -> float:
        return self.hour.used(self.clock())

    def spend(self, amount: int, name: str = "ann") -> None:
        self.hour.spend(name, amount, self.clock())


def counts(path: Path) -> list[dict[str, Any]]:
    """What the file has, of each key."""
    return list(json.loads(path.read_text()).values())


@asynccontextmanager
async def running(*agents: Agent) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(agent.file.run()) for agent in agents]
        yield
        for task in running:
            task.cancel()


async def until(agent: Agent, used: float, *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while agent.used != used:  # noqa: ASYNC110 - it is asked for from outside
            await asyncio.sleep(0.02)


async def test_what_one_agent_has_spent_the_next_one_knows_when_it_begins(path: Path, clock: Clock) -> None:
    first, second = Agent(path, clock), Agent(path, clock, name="a2")
    first.spend(600)
    first.spend(100, OWNER)
    await first.file.aclose()
    await second.file.load()
    assert second.used == 700
    assert second.hour.share_of(ANN).used(NOW) == 600
    clock.now += 3661
    third = Agent(path, clock, name="a3")
    await third.file.load()
    assert third.used == 0


async def test_what_is_spent_in_one_room_counts_in_the_others_within_a_moment(
    path: Path, clock: Clock
) -> None:
    agents = [Agent(path, clock, name=f"a{number}") for number in range(3)]
    async with running(*agents):
        for _ in range(10):
            for agent in agents:
                agent.spend(5)
                agent.hour.promise("ben", 3)
        for agent in agents:
            await until(agent, 3 * 10 * (5 + 3))
        for agent in agents:
            agent.hour.promise("ben", -30)
        for agent in agents:
            await until(agent, 150)
    for agent in agents:
        await agent.file.aclose()
    assert counts(path) == [{"spent": {str(int(NOW // 60)): {"ann": 150}}}]


async def test_each_api_key_has_an_hour_of_its_own_and_none_stands_in_the_file(
    path: Path, clock: Clock
) -> None:
    ours, theirs = Agent(path, clock, key="API-ours"), Agent(path, clock, key="API-theirs")
    ours.spend(10)
    theirs.spend(20)
    for agent in (ours, theirs, ours):
        await agent.file.load()
    assert (ours.used, theirs.used) == (10, 20)
    assert len(counts(path)) == 2
    assert "API" not in await asyncio.to_thread(path.read_text)


async def test_what_a_key_has_spent_is_forgotten_from_the_file_when_it_counts_no_more(
    path: Path, clock: Clock
) -> None:
    ours, theirs = Agent(path, clock, key="ours"), Agent(path, clock, key="theirs")
    theirs.spend(20)
    await theirs.file.aclose()
    clock.now += 4000
    ours.spend(10)
    await ours.file.aclose()
    assert len(counts(path)) == 1


async def test_a_promise_of_an_agent_that_was_killed_ends_after_a_minute_and_what_it_spent_does_not(
    path: Path, clock: Clock
) -> None:
    killed, other = Agent(path, clock), Agent(path, clock, name="a2")
    killed.spend(10)
    killed.hour.promise("ann", 500)
    await killed.file.load()
    await other.file.load()
    assert other.used == 510
    clock.now += 61
    await other.file.load()
    assert other.used == 10


async def test_a_promise_that_still_holds_is_said_again(path: Path, clock: Clock) -> None:
    one, other = Agent(path, clock), Agent(path, clock, name="a2")
    one.hour.promise("ann", 500)
    for _ in range(10):
        await one.file.load()
        clock.now += 21
        await other.file.load()
        assert other.used == 500
    await one.file.aclose()
    await other.file.load()
    assert other.used == 0


async def test_nobody_else_may_read_it(path: Path, clock: Clock) -> None:
    agent = Agent(path, clock)
    agent.spend(10)
    before = os.umask(0)
    try:
        await agent.file.aclose()
    finally:
        os.umask(before)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert modes == {"characters.json": 0o600, "characters.lock": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_while_nothing_is_spent_nothing_is_written(path: Path, clock: Clock) -> None:
    agent = Agent(path, clock)
    await agent.file.load()
    async with running(agent):
        await asyncio.sleep(2.5)
    await agent.file.aclose()
    assert not path.parent.exists()


@pytest.fixture
def broken(request: pytest.FixtureRequest, path: Path) -> None:
    """The file has something else in it."""
    path.parent.mkdir()
    path.write_text(request.param)


RUBBISH = ["", "{", "[]", "null", '{"x": 5}', "[" * 100_000, '{"a": {"spent": []}}']


@pytest.mark.parametrize("broken", RUBBISH, indirect=True, ids=range(len(RUBBISH)))
async def test_a_file_that_is_broken_is_begun_anew(path: Path, clock: Clock, broken: None) -> None:
    agent = Agent(path, clock)
    await agent.file.load()
    agent.spend(10)
    await agent.file.load()
    assert agent.used == 10
    other = Agent(path, clock, name="a2")
    await other.file.load()
    assert other.used == 10


async def test_what_cannot_be_written_is_counted_all_the_same_and_told_once_and_written_later(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("")  # a file where the folder should be
    agent = Agent(path, clock)
    for _ in range(3):
        agent.spend(10)
        await agent.file.load()
    assert agent.used == 30
    assert caplog.text.count("characters are counted for this agent alone") == 1
    path.parent.unlink()
    await agent.file.load()
    other = Agent(path, clock, name="a2")
    await other.file.load()
    assert other.used == agent.used == 30


async def test_a_lock_that_somebody_keeps_costs_no_more_than_the_common_count(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    agent = Agent(path, clock)
    agent.spend(10)
    with path.with_suffix(".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with asyncio.timeout(10):
            await agent.file.load()
        assert agent.used == 10
        assert "another process has locked it" in caplog.text
    await agent.file.load()
    assert counts(path)


@pytest.mark.parametrize("name", ["characters.lock", "characters.part"])
async def test_a_link_that_somebody_put_there_is_not_followed(
    path: Path, clock: Clock, tmp_path: Path, name: str
) -> None:
    path.parent.mkdir()
    (tmp_path / "precious").write_text("precious")
    (path.parent / name).symlink_to(tmp_path / "precious")
    agent = Agent(path, clock)
    agent.spend(10)
    await agent.file.load()
    assert (tmp_path / "precious").read_text() == "precious"


async def test_whoever_is_cancelled_while_it_tells_loses_nothing(path: Path, clock: Clock) -> None:
    agent, other = Agent(path, clock), Agent(path, clock, name="a2")
    for _ in range(20):
        agent.spend(1)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(agent.file.load())
            await asyncio.sleep(0)
            telling.cancel()
    await agent.file.aclose()
    await other.file.load()
    assert agent.used == other.used == 20


COUNT = """
import asyncio, sys
from pathlib import Path
from libacli.core.hour import Hour
from libacli.edges.livekit.hour_file import HourFile
async def main():
    hour = Hour(10_000)
    file = HourFile(Path(sys.argv[1]), hour, api_key="key", agent=sys.argv[2], clock=lambda: 1_800_000_000.0)
    for _ in range(100):
        hour.spend("ann", 1, 1_800_000_000.0)
        await file.load()
asyncio.run(main())
"""


def test_processes_that_count_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "characters.json"
    command: list[Any] = [sys.executable, "-c", COUNT, str(file)]
    counting = [subprocess.Popen([*command, f"a{number}"]) for number in range(3)]
    assert [process.wait(120) for process in counting] == [0, 0, 0]
    (members,) = json.loads(file.read_text()).values()
    assert members["spent"] == {str(1_800_000_000 // 60): {"ann": 300}}


def test_it_lies_where_the_state_of_this_user_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert hour_path() == tmp_path / "liba" / "characters.json"
