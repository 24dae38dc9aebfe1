"""The stores of `liba serve`, of each kind: every conformance test runs in memory and on a real Redis."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.session_store import RedisSessions
from libacli.edges.redis.shared import SharedRedis
from libacli.edges.redis.web_stores import RedisCounts, RedisSentUtterances, RedisTokens
from libacli.web.stores import Stores
from tests.redis_server import RedisServer

__all__ = ["anyio_backend", "real_redis", "shared_stores", "stores"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture(scope="module")
def real_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def shared_stores(server: RedisServer, prefix: str) -> AsyncIterator[tuple[Stores, SharedRedis]]:
    """Those of one replica, with a client of its own."""
    redis = make_redis(server.url)
    try:
        shared = SharedRedis(redis, prefix)
        yield (
            Stores(
                sessions=RedisSessions(shared),
                tokens=RedisTokens(shared),
                sent=RedisSentUtterances(shared),
                counts=RedisCounts(shared),
                watch=shared,
            ),
            shared,
        )
    finally:
        await redis.aclose()


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, real_redis: RedisServer) -> AsyncIterator[Stores]:
    if request.param == "memory":
        yield Stores()
        return
    async with shared_stores(real_redis, f"test-{uuid.uuid4().hex[:8]}") as (stores, _):
        yield stores
