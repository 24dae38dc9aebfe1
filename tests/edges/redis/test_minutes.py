"""Avatar minutes of several machines: through one file, through Redis, and through the fake."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libacli.edges.avatars.minutes import AvatarMinutes, MinutesStore
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.fakes import FakeMinutes, FakeShared
from libacli.edges.redis.minutes import RedisMinutes
from libacli.edges.redis.watch import RETRY_S, RedisWatch
from tests.money_contracts import NOON, NOW, DayClock, MakeMinutes, MinutesContract
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets and files


@pytest.fixture
def day() -> DayClock:
    return DayClock()


def minutes_on(
    folder: Path, machine: str, room: str, day: DayClock, store: MinutesStore | None = None
) -> AvatarMinutes:
    return AvatarMinutes(
        folder / machine / "minutes.json",
        max_minutes=10,
        max_minutes_per_room=4,
        room=room,
        clock=day,
        store=store,
        machine=machine,
    )


class TestOneMachine(MinutesContract):
    @pytest.fixture
    def minutes(self, tmp_path: Path, day: DayClock) -> MakeMinutes:
        return lambda machine, room: minutes_on(tmp_path, "one", room, day)


class TestFakeFleet(MinutesContract):
    @pytest.fixture
    def minutes(self, tmp_path: Path, day: DayClock) -> MakeMinutes:
        store = FakeMinutes(FakeShared(lambda: NOW))
        return lambda machine, room: minutes_on(tmp_path, machine, room, day, store)


class Machines:
    """Counts of several machines in one Redis, with keys that no other test has."""

    def __init__(self, server: RedisServer, folder: Path, day: DayClock, closing: AsyncExitStack) -> None:
        self.server = server
        self.scope = f"liba:{{{uuid.uuid4().hex}}}"
        self.watch_now = 0.0
        self._folder = folder
        self._day = day
        self._closing = closing

    def __call__(self, machine: str, room: str) -> AvatarMinutes:
        redis = make_redis(self.server.url)
        self._closing.push_async_callback(redis.aclose)
        store = RedisMinutes(redis, RedisWatch(clock=lambda: self.watch_now), self.scope)
        return minutes_on(self._folder, machine, room, self._day, store)


@pytest.fixture
async def machines(server: RedisServer, tmp_path: Path, day: DayClock) -> AsyncIterator[Machines]:
    async with AsyncExitStack() as closing:
        yield Machines(server, tmp_path, day, closing)


@pytest.fixture
async def mortal(own_server: RedisServer, tmp_path: Path, day: DayClock) -> AsyncIterator[Machines]:
    """The same, in a Redis that may be killed."""
    async with AsyncExitStack() as closing:
        yield Machines(own_server, tmp_path, day, closing)


class TestRedisFleet(MinutesContract):
    @pytest.fixture
    def minutes(self, machines: Machines) -> MakeMinutes:
        return machines


async def test_redis_gone_machines_count_alone_on_what_they_knew_and_together_again_when_it_is_back(
    mortal: Machines, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = mortal("a", "demo"), mortal("b", "lobby")
    await one.count(60)
    await other.count(0)
    mortal.server.kill()
    for total_s in (70, 80, 90):
        await one.count(total_s)
        await other.count(total_s - 60)
    assert (one.usage()[0].used, other.usage()[0].used) == (1.5, 1.5)
    assert caplog.text.count("counted on this machine alone") == 2
    mortal.server.start()  # empty
    mortal.watch_now += RETRY_S
    await other.count(30)
    assert other.usage()[0].used == 1.5, "what was known before goes on counting"
    for total_s in (90, 90):
        await one.count(total_s)
        await other.count(total_s - 60)
    assert (one.usage()[0].used, other.usage()[0].used) == (2.0, 2.0)
    assert caplog.text.count("Redis is back") == 2


@pytest.mark.parametrize("is_real", [True, False])
async def test_what_is_told_late_does_not_undo_what_was_told_since(machines: Machines, is_real: bool) -> None:
    redis = make_redis(machines.server.url)
    real = RedisMinutes(redis, RedisWatch(), machines.scope)
    store: MinutesStore = real if is_real else FakeMinutes(FakeShared(lambda: NOW))
    for seconds in (20.25, 5.0):
        assert await store.exchange(NOON.date(), "a", "demo", seconds, 1.0) == (0, 0)
    assert await store.exchange(NOON.date(), "b", "demo", 1.0, 1.0) == (20.25, 1.0)
    await redis.aclose()


async def test_all_that_is_kept_of_a_day_ends_by_itself(mortal: Machines, day: DayClock) -> None:
    await mortal("a", "demo").count(60)
    redis = make_redis(mortal.server.url)
    keys = [key async for key in redis.scan_iter("*")]
    assert len(keys) == 2
    for key in keys:
        assert b"demo" not in key
        assert 0 < await redis.pttl(key) <= timedelta(days=2).total_seconds() * 1000
    await redis.aclose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20), st.booleans()), max_size=60))
async def test_machines_use_no_more_than_the_cap_and_what_runs_in_between(
    steps: list[tuple[int, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beyond the cap goes at most what each avatar that runs uses between two counts."""
    folder, shared, day = tmp_path_factory.mktemp("fleet"), FakeShared(lambda: NOW), DayClock()
    rooms = [
        AvatarMinutes(
            folder / f"m{number}" / "minutes.json",
            max_minutes=1,
            clock=day,
            room=f"r{number}",
            machine=f"m{number}",
            store=FakeMinutes(shared),
        )
        for number in range(3)
    ]
    used, longest = [0, 0, 0], 0
    for who, seconds, is_gone in steps:
        await rooms[who].count(used[who])
        if rooms[who].are_used_up:
            continue
        shared.is_gone = is_gone
        used[who] += seconds
        longest = max(longest, seconds)
        await rooms[who].count(used[who])
        shared.is_gone = False
        await rooms[who].count(used[who])
    assert sum(used) <= 60 + longest * len(rooms)
