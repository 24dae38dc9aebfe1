"""The Redis that machines share: how it is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from libacli.config import Settings
from libacli.errors import ConfigError

if TYPE_CHECKING:
    import redis as blocking
    from redis.asyncio import Redis

CONNECT_TIMEOUT_S = 1.0
"""On one network it takes milliseconds; speech must not wait for a Redis that is gone."""

ANSWER_TIMEOUT_S = 1.0

_HEALTH_CHECK_S = 15.0
"""A connection that was idle for so long is tried before it is used: balancers cut those silently."""

_INSTALL = "pip install 'libacli[redis]'"


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """The Redis of `redis.url`, not connected yet; None where none is set. Closed at the end.

    Raises ConfigError when the address is none, or the `redis` extra is not installed.
    """
    if settings.redis_url is None:
        yield None
        return
    redis = make_redis(settings.redis_url.get_secret_value())
    try:
        yield redis
    finally:
        await redis.aclose()


def make_redis(url: str) -> Redis:
    """A client that connects when it is first used, and whose every wait is bounded. Raises ConfigError."""
    with _understood(url):
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        # Once more, at once: a connection that the server has closed meanwhile is no news.
        redis: Redis = Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_BOUNDS)
        _settle(redis.connection_pool)
    return redis


def make_redis_for_threads(url: str) -> blocking.Redis:
    """The same for threads: it connects when it is first used, and blocks. Raises ConfigError."""
    with _understood(url):
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        redis: blocking.Redis = Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_BOUNDS)
        _settle(redis.connection_pool)
    return redis


def redis_to_preload(settings: Settings) -> tuple[str, ...]:
    """The client's modules, if these settings need it: loading them takes up to a second."""
    return ("redis.asyncio",) if settings.redis_url else ()


_BOUNDS: dict[str, Any] = {
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "socket_timeout": ANSWER_TIMEOUT_S,
    "health_check_interval": _HEALTH_CHECK_S,
    "client_name": "liba",
    "protocol": 2,  # a Redis before 6 knows no other one
}


def _settle(pool: Any) -> None:
    """Has `pool` read bytes, as we do. Raises ValueError, TypeError for what no connection can be made of."""
    from redis.exceptions import RedisError

    pool.connection_kwargs["decode_responses"] = False
    try:
        pool.connection_class(**pool.connection_kwargs)  # else it would be told when it is first used
    except RedisError as error:
        raise ValueError("the client cannot be made so") from error


@contextmanager
def _understood(url: str) -> Iterator[None]:
    """Raises ConfigError where there is no client, or the address is none."""
    try:
        yield
        _check_database(url)
    except ImportError as error:
        raise ConfigError("redis.url is set, but the Redis client is not installed", hint=_INSTALL) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "redis.url is no address of a Redis",
            hint="write redis://HOST:6379/0, rediss://HOST:6379/0 for TLS, or unix:///PATH; "
            "USER:PASSWORD@ before HOST, signs like / and # in them as %2F and %23",
        ) from error


def _check_database(url: str) -> None:
    """Raises ValueError for one that is no number: the client would take another one."""
    parts = urlsplit(url)
    if parts.scheme != "unix" and (database := parts.path.strip("/ ")):
        int(database)


def place_of(url: str) -> str:
    """`url` for people and logs: without its user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
