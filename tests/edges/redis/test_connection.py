from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.redis.connection import make_redis, make_redis_for_threads, open_redis, place_of
from libacli.edges.redis.trouble import translated
from libacli.errors import ConfigError, StoreError
from libacli.masking import masked
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


async def test_without_an_address_there_is_no_redis() -> None:
    async with open_redis(Settings()) as redis:
        assert redis is None


async def test_a_real_one_keeps_what_it_is_given(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with open_redis(Settings(redis_url=SecretStr(server.url))) as redis:
            assert redis is not None
            await redis.set("liba:test", b"kept", px=60_000)
            assert await redis.get("liba:test") == b"kept"


async def test_one_that_was_started_again_is_used_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with open_redis(Settings(redis_url=SecretStr(server.url))) as redis:
            assert redis is not None
            await redis.set("liba:test", b"kept")
            server.kill()
            with pytest.raises(StoreError), translated():
                await redis.get("liba:test")
            server.start()
            assert await redis.get("liba:test") is None


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://127.0.0.1:1",
        "redis://127.0.0.1:none",
        "redis://h:99999999",
        "redis://h/shop",
        "redis://[::1/0",
        "redis://h/0?color=blue",
        "redis://h/0?protocol=9",
        "rediss://h/0?ssl_cert_reqs=perhaps",
    ],
)
def test_what_is_no_address_is_told_without_repeating_it(url: str) -> None:
    for make in (make_redis, make_redis_for_threads):
        with pytest.raises(ConfigError, match=r"redis\.url") as raised:
            make(url)
        assert url not in str(raised.value) + raised.value.hint
        assert masked(raised.value.hint) == raised.value.hint, "who reads it would not see what to write"


async def test_whatever_an_address_asks_for_bytes_are_read(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        url = f"{server.url}?decode_responses=true"
        async with open_redis(Settings(redis_url=SecretStr(url))) as redis:
            assert redis is not None
            await redis.hset("liba:test", mapping={"a": "b"})
            assert await redis.hgetall("liba:test") == {b"a": b"b"}
        with closing(make_redis_for_threads(url)) as blocking:
            assert blocking.hgetall("liba:test") == {b"a": b"b"}


async def test_one_from_before_the_newer_protocol_is_spoken_to_in_its_own(tmp_path: Path) -> None:
    """Redis 5 has no HELLO."""
    with RedisServer(tmp_path, "--rename-command", "HELLO", "") as server:
        async with open_redis(Settings(redis_url=SecretStr(server.url))) as redis:
            assert redis is not None
            await redis.hset("liba:test", mapping={"a": "b"})
            assert await redis.hgetall("liba:test") == {b"a": b"b"}
        with closing(make_redis_for_threads(server.url)) as blocking:
            assert blocking.hgetall("liba:test") == {b"a": b"b"}


def test_the_place_shows_neither_user_nor_password() -> None:
    assert place_of("rediss://ann:s3cret@cache.test:6380/2") == "rediss://cache.test:6380/2"
    assert place_of("unix:///run/redis.sock") == "unix:///run/redis.sock"
