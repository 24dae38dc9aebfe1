"""The hour of characters of several machines: through one file, through Redis, and through the fake."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libacli.core.caps import SayCaps
from libacli.core.hour import OWNER, Account, Hour
from libacli.edges.livekit.hour_file import HourFile
from libacli.edges.livekit.hour_port import HourStore
from libacli.edges.livekit.shared_hour import SharedHour
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.fakes import FakeHour, FakeShared
from libacli.edges.redis.hour import RedisHour
from libacli.edges.redis.watch import RETRY_S, RedisWatch
from libacli.errors import RefusedError
from tests.money_contracts import NOW, HourAgent, HourKeeperContract
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets and files


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def hour_agent(
    folder: Path, name: str, store: HourStore | None, *, clock: Clock | None = None, limit: float = 1000
) -> HourAgent:
    """One on the machine that has this folder."""
    hour, clock = Hour(limit), clock or Clock()
    file = HourFile(folder / "characters.json", hour, api_key="key", agent=name, clock=clock)
    if store is None:
        return HourAgent(hour, (file,))
    shared = SharedHour(store, hour, file, machine=folder.name, agent=name, clock=clock)
    return HourAgent(hour, (file, shared))


class TestOneMachine(HourKeeperContract):
    @pytest.fixture
    def agents(self, tmp_path: Path) -> tuple[HourAgent, HourAgent]:
        return hour_agent(tmp_path / "m", "a1", None), hour_agent(tmp_path / "m", "a2", None)


class TestFakeFleet(HourKeeperContract):
    @pytest.fixture
    def agents(self, tmp_path: Path) -> tuple[HourAgent, HourAgent]:
        store = FakeHour(FakeShared(Clock()))
        return hour_agent(tmp_path / "m1", "a1", store), hour_agent(tmp_path / "m2", "a2", store)


class Machines:
    """Stores of several machines in one Redis, with keys that no other test has."""

    def __init__(self, server: RedisServer, closing: AsyncExitStack) -> None:
        self.server = server
        self.watch_clock = Clock(0.0)
        self._closing = closing
        self._scope = f"liba:{{{uuid.uuid4().hex}}}"

    def store(self) -> RedisHour:
        redis = make_redis(self.server.url)
        self._closing.push_async_callback(redis.aclose)
        return RedisHour(redis, RedisWatch(clock=self.watch_clock), self._scope)


@pytest.fixture
async def machines(server: RedisServer) -> AsyncIterator[Machines]:
    async with AsyncExitStack() as closing:
        yield Machines(server, closing)


@pytest.fixture
async def mortal(own_server: RedisServer) -> AsyncIterator[Machines]:
    """The same, in a Redis that may be killed."""
    async with AsyncExitStack() as closing:
        yield Machines(own_server, closing)


class TestRedisFleet(HourKeeperContract):
    @pytest.fixture
    def agents(self, tmp_path: Path, machines: Machines) -> tuple[HourAgent, HourAgent]:
        return (
            hour_agent(tmp_path / "m1", "a1", machines.store()),
            hour_agent(tmp_path / "m2", "a2", machines.store()),
        )


async def test_agents_of_one_machine_and_of_others_are_one_count(tmp_path: Path, machines: Machines) -> None:
    agents = [
        hour_agent(tmp_path / f"m{number % 2}", f"a{number}", machines.store(), clock=Clock())
        for number in range(4)
    ]
    for agent in agents:
        agent.spend(10)
        agent.hour.promise("ben", 5)
        await agent.exchange()
    for agent in agents:
        await agent.exchange()
    assert [agent.used for agent in agents] == [60, 60, 60, 60]


async def test_what_a_machine_cannot_keep_the_others_know_all_the_same(
    tmp_path: Path, machines: Machines
) -> None:
    (tmp_path / "m1").write_text("")  # a file where the folder should be
    agents = [hour_agent(tmp_path / "m1", f"a{number}", machines.store()) for number in range(2)]
    agents.append(hour_agent(tmp_path / "m2", "a3", machines.store()))
    for agent in agents:
        agent.spend(10)
        await agent.exchange()
    for agent in agents:
        await agent.exchange()
    assert [agent.used for agent in agents] == [30, 30, 30]


async def test_redis_gone_costs_the_common_count_alone_and_is_said_once_and_all_is_told_when_it_is_back(
    tmp_path: Path, mortal: Machines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    one, other = (
        hour_agent(tmp_path / f"m{number}", f"a{number}", mortal.store(), clock=clock) for number in (1, 2)
    )
    one.spend(100)
    await one.exchange()
    await other.exchange()
    mortal.server.kill()
    for _ in range(3):
        one.spend(10)
        other.spend(1)
        await one.exchange()
        await other.exchange()
        mortal.watch_clock.now += RETRY_S
    assert (one.used, other.used) == (130, 103), "what was known goes on counting"
    assert caplog.text.count("counted on this machine alone") == 2, "once for each agent"
    mortal.server.start()  # empty
    await other.exchange()
    assert other.used == 103, "what was known before goes on counting"
    clock.now += 21
    for _ in range(2):
        await one.exchange()
        await other.exchange()
    assert (one.hour.used(clock()), other.hour.used(clock())) == (133, 133)
    assert caplog.text.count("Redis is back") == 2


async def test_while_it_is_gone_nobody_waits_for_it(tmp_path: Path, mortal: Machines) -> None:
    agent = hour_agent(tmp_path / "m1", "a1", mortal.store())
    mortal.server.kill()
    await agent.exchange()
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for _ in range(50):
        await agent.exchange()
    assert loop.time() - began_at < 1.0


async def test_an_agent_that_was_killed_promises_nothing_after_a_minute(
    tmp_path: Path, machines: Machines
) -> None:
    redis = make_redis(machines.server.url)
    store, other = machines.store(), hour_agent(tmp_path / "m1", "a1", machines.store())
    await store.tell({"m2": {}}, "killed", {"ann": 500})
    (key,) = [key async for key in redis.scan_iter(f"{machines._scope}*promised")]
    await other.exchange()
    assert other.used == 500
    said_at = int((await redis.time())[0]) - 61
    await redis.hset(key, "killed", f'{said_at} {{"ann": 500}}')
    await other.exchange()
    assert other.used == 0
    assert await redis.hgetall(key) == {}
    await redis.aclose()


@pytest.mark.parametrize("is_real", [True, False])
async def test_what_is_told_late_does_not_undo_what_was_told_since(machines: Machines, is_real: bool) -> None:
    minute = int(NOW // 60)
    store: HourStore = machines.store() if is_real else FakeHour(FakeShared(Clock()))
    for amount in (20, 5):
        await store.tell({"m1": {minute: {"an/n": amount}}}, "a1", {"an/n": 1})
    found = await store.read(NOW)
    assert found
    assert (found.spent, found.promised) == ({"m1": {minute: {"an/n": 20}}}, {"a1": {"an/n": 1}})


async def test_what_has_not_changed_is_not_read_again(machines: Machines) -> None:
    store, other = machines.store(), machines.store()
    await other.tell({"m1": {int(NOW // 60): {"ann": 5}}}, "a1", {})
    assert await store.read(NOW)
    assert await store.read(NOW) is None
    await other.tell({"m1": {int(NOW // 60): {"ann": 6}}}, "a1", {})
    assert await store.read(NOW)


async def test_a_clock_that_is_ahead_costs_no_count(tmp_path: Path, machines: Machines) -> None:
    one = hour_agent(tmp_path / "m1", "a1", machines.store(), clock=Clock(NOW + 90))
    other = hour_agent(tmp_path / "m2", "a2", machines.store())
    one.hour.spend("ann", 50, NOW + 90)
    await one.exchange()
    await other.exchange()
    assert other.used == 50


async def test_all_that_is_kept_of_an_hour_ends_by_itself(tmp_path: Path, machines: Machines) -> None:
    agent = hour_agent(tmp_path / "m1", "a1", machines.store())
    agent.spend(10)
    agent.hour.promise("ann", 5)
    await agent.exchange()
    redis = make_redis(machines.server.url)
    keys = [key async for key in redis.scan_iter(f"{machines._scope}*")]
    assert len(keys) == 3
    for key in keys:
        assert 0 < await redis.pttl(key) <= 2 * 3600 * 1000
    await redis.aclose()


async def test_what_counts_no_more_is_kept_no_longer(tmp_path: Path, machines: Machines) -> None:
    clock = Clock()
    agent = hour_agent(tmp_path / "m1", "a1", machines.store(), clock=clock)
    agent.spend(10)
    await agent.exchange()
    clock.now += 3700
    agent.hour.spend("ann", 7, clock())
    await agent.exchange()
    redis = make_redis(machines.server.url)
    assert list((await redis.hgetall(f"{machines._scope}:hour:spent")).values()) == [b"7"]
    await redis.aclose()


LIMIT = 1000
STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["say", "exchange"]), st.integers(1, 300)), max_size=40
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=STEPS)
async def test_two_machines_spend_no_more_than_the_cap_and_what_each_had_not_heard_of_the_other(
    steps: list[tuple[int, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beyond the cap goes at most what was accepted elsewhere since the last exchange of both."""
    folder, store = tmp_path_factory.mktemp("fleet"), FakeHour(FakeShared(Clock()))
    agents, caps = [], []
    for number in range(2):
        cap = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=LIMIT, hour_clock=lambda at: NOW)
        assert cap.hour
        file = HourFile(
            folder / f"m{number}" / "c.json", cap.hour, api_key="k", agent=f"a{number}", clock=Clock()
        )
        shared = SharedHour(store, cap.hour, file, machine=f"m{number}", agent=f"a{number}", clock=Clock())
        agents.append(HourAgent(cap.hour, (file, shared)))
        caps.append(cap)
    spent, unheard, worst = 0, [0, 0], 0
    for at, (who, what, amount) in enumerate(steps):
        if what == "exchange":
            for one in (who, 1 - who, who):  # the first one to tell hears of the other's at its next turn
                await agents[one].exchange()
            unheard = [0, 0]
            continue
        try:
            caps[who].check(Account(OWNER, is_owner=True), amount, NOW)
        except RefusedError:
            continue
        caps[who].accept(Account(OWNER, is_owner=True), f"u{at}", amount, NOW)
        caps[who].ask(f"u{at}", amount, NOW)
        spent, unheard[who] = spent + amount, unheard[who] + amount
        worst = max(worst, unheard[1 - who])
        assert spent <= LIMIT + unheard[1 - who]
    assert spent <= LIMIT + worst
