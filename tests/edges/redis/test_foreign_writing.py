"""Whatever somebody else writes at our keys, nothing but StoreError comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import date
from typing import Any, cast

import pytest
from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis

from libacli.core.entry import EntryCode, SentUtterance, Session
from libacli.core.journal import Ended, Line
from libacli.core.journal_place import Place, Scope
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.hour import RedisHour
from libacli.edges.redis.journal import RedisJournal, waiting_rooms
from libacli.edges.redis.minutes import RedisMinutes
from libacli.edges.redis.session_store import RedisSessions
from libacli.edges.redis.shared import SharedRedis
from libacli.edges.redis.watch import RedisWatch
from libacli.edges.redis.web_stores import RedisCounts, RedisSentUtterances, RedisTokens
from libacli.errors import StoreError
from tests.redis_server import RedisServer

Ask = Callable[[], Awaitable[Any]]

SCOPE = Scope("key", "liba")
LIMIT = RateLimitItemPerMinute(5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture
async def redis(own_server: RedisServer) -> AsyncIterator[Redis]:
    redis = make_redis(own_server.url)
    yield redis
    await redis.aclose()


def all_that_is_asked(redis: Redis, journal: RedisJournal) -> Mapping[str, Ask]:
    """Of servers and agents that have just begun, in an order in which each has something to find."""
    shared, watch, now = SharedRedis(redis, "liba"), RedisWatch(), wall_clock()
    sessions, tokens = RedisSessions(shared), RedisTokens(shared)
    sent, limiter = RedisSentUtterances(shared), SlidingWindowCounterRateLimiter(RedisCounts(shared))
    hour, minutes = RedisHour(redis, watch, "liba:{a}"), RedisMinutes(redis, watch, "liba:{a}")
    session = Session("name", "demo", True, now + 100, identity="viewer-1", digest="digest")
    code = EntryCode("name", "demo", True, now + 100)
    line, ended = Line("one", 1, "sealed"), Ended("two", "done", "", now)
    return {
        "put code": lambda: sessions.put_code("code", code, valid_for_s=100),
        "put session": lambda: sessions.put_session(session, valid_for_s=100),
        "find session": lambda: sessions.find("digest"),
        "all sessions": sessions.all,
        "count token": lambda: tokens.count(session, now + 50, most=5, now=now),
        "dismiss": lambda: tokens.dismiss(session, leeway_s=5),
        "leaving": tokens.leaving,
        "remember": lambda: sent.remember("caller", "one", SentUtterance("demo", "epoch", "print")),
        "find utterance": lambda: sent.find("caller", "one"),
        "count request": lambda: limiter.hit(LIMIT, "caller"),
        "when again": lambda: limiter.get_window_stats(LIMIT, "caller"),
        "tell hour": lambda: hour.tell({"m": {int(now // 60): {"ann": 5}}}, "agent", {"ann": 3}),
        "read hour": lambda: hour.read(now),
        "minutes": lambda: minutes.exchange(date(2026, 1, 1), "m", "demo", 3, 3),
        "take over": journal.take_over,
        "write": lambda: journal.write([line], [ended], paused_at=now),
        "take over what is there": journal.take_over,
        "waiting": lambda: waiting_rooms(redis, "liba", SCOPE, clock=lambda: now + 100),
        "take code": lambda: sessions.take_code("code"),
        "drop": lambda: sessions.drop_named("name"),
    }


async def write_over(redis: Redis, key: bytes, kind: bytes, garbage: bytes) -> None:
    """Puts `garbage` into what is of its kind, as another application might."""
    if kind == b"string":
        await redis.set(key, garbage)
    elif kind == b"hash":
        fields = [*await redis.hkeys(key), garbage, b"line " + garbage]
        await redis.hset(key, mapping=dict.fromkeys(fields, garbage))
    else:
        await redis.zadd(key, {garbage: wall_clock()})


async def write_another_kind(redis: Redis, key: bytes, kind: bytes, garbage: bytes) -> None:
    await redis.delete(key)
    await redis.rpush(key, garbage)


@pytest.mark.parametrize("spoil", [write_over, write_another_kind])
@pytest.mark.parametrize("garbage", [b"\xff\xfe\x00", b'[1, {"a": null}]', b"[" * 100_000])
async def test_whatever_stands_there_nothing_but_a_store_error_comes_of_it(
    redis: Redis, own_server: RedisServer, spoil: Callable[..., Awaitable[None]], garbage: bytes
) -> None:
    keys: dict[bytes, bytes] = {}
    for key in [None, *await _all_keys(redis, own_server, keys)]:
        await redis.flushdb()
        async for name, ask in _asked(redis, own_server):
            if key and await redis.exists(key):
                await spoil(redis, key, keys[key], garbage)
            try:
                await ask()
            except StoreError:
                assert key, f"{name} failed with nothing else there"


async def _all_keys(redis: Redis, own_server: RedisServer, kinds: dict[bytes, bytes]) -> list[bytes]:
    """All that is written, each with its kind in `kinds`."""
    async for _, ask in _asked(redis, own_server):
        await ask()
        for key in cast(list[bytes], await redis.keys("*")):
            kinds[key] = cast(bytes, await redis.type(key))
    return list(kinds)


async def _asked(redis: Redis, own_server: RedisServer) -> AsyncIterator[tuple[str, Ask]]:
    """Each by one that has seen no failure yet."""
    make = lambda: make_redis(own_server.url)  # noqa: E731
    journal = RedisJournal(make, "liba", Place(SCOPE, "demo"), epoch="epoch", clock=wall_clock)
    for name in all_that_is_asked(redis, journal):
        yield name, all_that_is_asked(redis, journal)[name]
    await journal.aclose()
