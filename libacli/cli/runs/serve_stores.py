"""What a `liba serve` shares with others that are reached at the same address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from libacli.config import Settings
from libacli.edges.redis.connection import open_redis
from libacli.web.stores import Stores


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """What servers share that are reached at one address; without `redis.url` each is alone.

    Raises ConfigError.
    """
    async with open_redis(settings) as redis:
        if redis is None:
            yield Stores()
            return
        # Only with the extra `redis` are they there.
        from libacli.edges.redis.session_store import RedisSessions
        from libacli.edges.redis.shared import SharedRedis
        from libacli.edges.redis.web_stores import RedisCounts, RedisSentUtterances, RedisTokens

        shared = SharedRedis(redis, settings.redis_prefix)
        yield Stores(
            sessions=RedisSessions(shared),
            tokens=RedisTokens(shared),
            sent=RedisSentUtterances(shared),
            counts=RedisCounts(shared),
            watch=shared,
            # On that of LiveKit's tokens: all machines have to agree on it anyhow.
            now=lambda: datetime.now(UTC).timestamp(),
        )
