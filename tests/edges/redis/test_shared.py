from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.shared import SharedRedis
from libacli.errors import StoreError
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def sharing(server: RedisServer, *, watches: bool = True) -> AsyncIterator[SharedRedis]:
    redis = make_redis(server.url)
    shared = SharedRedis(redis, "test")
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(shared.run()) if watches else None
            yield shared
            if watching:
                watching.cancel()
    finally:
        await redis.aclose()


async def ping(shared: SharedRedis) -> bool:
    return bool(await shared.do(lambda: shared.client.get("test:x")) is None)


async def until(shared: SharedRedis, state: str) -> None:
    for _ in range(500):
        if shared.state == state:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"it is {shared.state}, not {state}")


async def test_keys_begin_with_the_prefix(server: RedisServer) -> None:
    async with sharing(server, watches=False) as shared:
        assert shared.key("session", "a") == "test:web:session:a"


async def test_one_that_dies_is_told_once_and_used_again_when_it_is_back(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(server) as shared:
        assert await ping(shared)
        server.kill()
        for _ in range(20):
            with pytest.raises(StoreError):
                await ping(shared)
        assert shared.state == "unreachable"
        server.start()
        await until(shared, "ok")
        assert await ping(shared)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert "Keys go on working" in told[0]
    assert "Redis is back" in told[1]


async def test_one_that_hangs_delays_one_answer_and_no_other(server: RedisServer) -> None:
    clock = asyncio.get_running_loop().time
    async with sharing(server, watches=False) as shared:
        assert await ping(shared)
        await shared.client.client_pause(6000)
        began = clock()
        with pytest.raises(StoreError):
            await ping(shared)
        assert clock() - began < 5  # two attempts of a second, with connecting
        began = clock()
        for _ in range(100):
            with pytest.raises(StoreError):
                await ping(shared)
        assert clock() - began < 0.5


async def test_one_that_takes_nothing_new_is_none(server: RedisServer) -> None:
    async with sharing(server) as shared:
        await until(shared, "ok")
        await shared.client.config_set("maxmemory", "1")
        await until(shared, "unreachable")
        await shared.client.config_set("maxmemory", "0")
        await until(shared, "ok")


async def test_one_that_runs_no_scripts_is_none_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading it would work: it must not be back, and gone again, with every other request."""
    with RedisServer(tmp_path, "--rename-command", "EVAL", "") as server:
        async with sharing(server) as shared:
            await until(shared, "unreachable")
            await asyncio.sleep(2.5)
            assert shared.state == "unreachable"
    assert len([record for record in caplog.records if record.name.startswith("liba")]) == 1
