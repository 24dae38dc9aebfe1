from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from redis.asyncio import Redis

from libacli.core.entry import Leaving, SentUtterance
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.shared import SharedRedis
from libacli.edges.redis.web_stores import RedisSentUtterances, RedisTokens
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def shared(server: RedisServer) -> AsyncIterator[SharedRedis]:
    redis: Redis = make_redis(server.url)
    await redis.flushall()
    yield SharedRedis(redis, "test")
    await redis.aclose()


async def test_an_utterance_that_a_newer_server_has_noted_down_is_found(shared: SharedRedis) -> None:
    sent, store = SentUtterance("demo", "epoch", "fingerprint"), RedisSentUtterances(shared)
    await store.remember("somebody", "one", sent)
    (key,) = cast("list[bytes]", await shared.client.keys())
    noted = json.loads(cast(bytes, await shared.client.get(key)))

    await shared.client.set(key, json.dumps(noted | {"of a newer server": 1}))

    assert await store.find("somebody", "one") == sent


async def test_who_is_to_leave_is_known_also_when_a_newer_server_has_noted_it_down(
    shared: SharedRedis,
) -> None:
    noted = {"identity": "guest", "room": "demo", "until": 5.0, "of a newer server": 1}
    await shared.client.hset(shared.key("leaving"), "guest", json.dumps(noted))

    assert await RedisTokens(shared).leaving() == [Leaving("guest", "demo", 5.0)]
