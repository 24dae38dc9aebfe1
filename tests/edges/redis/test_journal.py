"""A queue in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from libacli.core.journal import KEPT_FOR_S, Legacy, Line
from libacli.core.journal_place import DUE_AFTER_S, Place, Scope
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.journal import RedisJournal, waiting_rooms
from libacli.errors import StoreError
from tests.journal_contracts import NOW, ONE, ONE_IS_DONE, TWO, JournalContract, Open
from tests.redis_server import RedisServer

SCOPE = Scope("key", "liba")
PLACE = Place(SCOPE, "demo ü")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with Redis.from_url(running.url) as redis:
        redis.flushdb()
    return running


@pytest.fixture
async def journal_for(server: RedisServer) -> AsyncIterator[Open]:
    opened: list[RedisJournal] = []

    def open_one(epoch: str) -> RedisJournal:
        make = lambda: make_redis(server.url)  # noqa: E731
        opened.append(RedisJournal(make, "liba", PLACE, epoch=epoch, clock=lambda: NOW))
        return opened[-1]

    yield open_one
    for journal in opened:
        await journal.aclose()


class TestRedisJournal(JournalContract):
    @pytest.fixture
    def forget(self, server: RedisServer) -> Callable[[], None]:
        def flush() -> None:
            with Redis.from_url(server.url) as redis:
                redis.flushdb()

        return flush


async def test_it_is_bounded_in_time_and_names_no_room_in_its_keys(
    server: RedisServer, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE, TWO], [ONE_IS_DONE])
    with Redis.from_url(server.url) as redis:
        keys = list(redis.scan_iter())
        assert len(keys) == 3
        for key in keys:
            assert key.startswith(b"liba:journal:")
            assert b"demo" not in key
            assert 86_400 <= redis.ttl(key) <= 87_000


async def test_what_has_ended_leaves_nothing_of_what_was_sealed(
    server: RedisServer, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([Line("one", 1, "U0VBTEVE")], [])
    await journal.write([], [ONE_IS_DONE])
    with Redis.from_url(server.url) as redis:
        assert b"U0VBTEVE" not in b"".join(redis.dump(key) or b"" for key in redis.scan_iter())


async def test_a_write_that_comes_after_a_later_one_does_nothing(
    server: RedisServer, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    await journal.write([], [ONE_IS_DONE])
    assert isinstance(journal, RedisJournal)
    journal._count = 0  # as the first one, which has come at last
    await journal.write([ONE], [])
    assert (await journal_for("next").take_over()).lines == ()


async def test_a_redis_that_is_gone_is_told_and_one_that_is_back_is_used_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        journal = RedisJournal(
            lambda: make_redis(server.url), "liba", PLACE, epoch="first", clock=lambda: NOW
        )
        await journal.take_over()
        server.kill()
        for call in (journal.take_over, lambda: journal.write([ONE], []), journal.release):
            with pytest.raises(StoreError):
                await call()
        server.start()
        with suppress(StoreError):  # what it has lost is told
            await journal.write([ONE], [])
        assert await journal.take_over() == Legacy()
        await journal.write([ONE], [])
        await journal.aclose()


async def test_rooms_in_which_lines_wait_are_found_once_their_agent_may_be_gone(
    server: RedisServer, journal_for: Open
) -> None:
    redis = make_redis(server.url)

    async def found(seconds_later: float, scope: Scope = SCOPE) -> list[str]:
        return await waiting_rooms(redis, "liba", scope, clock=lambda: NOW + seconds_later)

    try:
        journal = journal_for("first")
        await journal.take_over()
        assert await found(3600) == []
        await journal.write([ONE], [])
        assert await found(1) == []
        assert await found(DUE_AFTER_S + 1) == [PLACE.room]
        assert await found(DUE_AFTER_S + 1, Scope("key", "another")) == []
        await journal.release()
        assert await found(1) == [PLACE.room]
        next_one = journal_for("next")
        await next_one.take_over()
        await next_one.write([], [ONE_IS_DONE])
        assert await found(3600) == []
    finally:
        await redis.aclose()


async def test_a_room_whose_queue_is_gone_wants_nobody_once_an_agent_has_looked(
    server: RedisServer, journal_for: Open
) -> None:
    redis = make_redis(server.url)
    try:
        journal = journal_for("first")
        await journal.take_over()
        await journal.write([ONE], [])
        await journal.release()
        await redis.delete(f"liba:journal:{PLACE.digest}")
        assert await waiting_rooms(redis, "liba", SCOPE, clock=lambda: NOW) == [PLACE.room]
        await journal_for("next").take_over()
        assert await waiting_rooms(redis, "liba", SCOPE, clock=lambda: NOW + 3600) == []
    finally:
        await redis.aclose()


async def test_a_room_that_was_just_taken_over_wants_nobody_for_a_while(
    server: RedisServer, journal_for: Open
) -> None:
    redis = make_redis(server.url)
    try:
        journal = journal_for("first")
        await journal.take_over()
        await journal.write([ONE], [])
        await journal.release()
        await journal_for("next").take_over()
        assert await waiting_rooms(redis, "liba", SCOPE, clock=lambda: NOW + 1) == []
        assert await waiting_rooms(redis, "liba", SCOPE, clock=lambda: NOW + DUE_AFTER_S) == [PLACE.room]
        assert await waiting_rooms(redis, "liba", SCOPE, clock=lambda: NOW + KEPT_FOR_S + 1) == []
    finally:
        await redis.aclose()
