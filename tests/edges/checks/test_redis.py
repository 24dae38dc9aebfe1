from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.checks import redis as check
from libacli.edges.redis.connection import make_redis
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def given(server: RedisServer) -> Settings:
    return Settings(redis_url=SecretStr(server.url))


async def told(server: RedisServer, setting: str, value: str) -> None:
    redis = make_redis(server.url)
    await redis.config_set(setting, value)
    await redis.aclose()


async def let_in(server: RedisServer, user: str, rules: str) -> None:
    redis = make_redis(server.url)
    command = ["ACL", "SETUSER", user, "on", ">s3cret", *rules.split()]
    await redis.execute_command(*command)  # type: ignore[no-untyped-call]
    await redis.aclose()


async def test_one_that_answers_is_told_with_its_version_and_what_it_does_when_it_is_full(
    server: RedisServer,
) -> None:
    finding = await check.redis(given(server))
    assert finding.verdict == "ok"
    assert f"at redis://127.0.0.1:{server.port}/0" in finding.message
    assert finding.message.endswith("noeviction")


async def test_one_that_is_gone_fails_and_its_password_is_not_told(server: RedisServer) -> None:
    server.kill()
    url = f"redis://ann:s3cret@127.0.0.1:{server.port}/0"
    finding = await check.redis(Settings(redis_url=SecretStr(url)))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert "Connection refused" in finding.message
    assert "s3cret" not in finding.message + finding.fix


async def test_one_that_wants_a_password_fails(server: RedisServer) -> None:
    await told(server, "requirepass", "s3cret")
    finding = await check.redis(given(server))
    assert finding.verdict == "fail"
    assert "does not let this user and password in" in finding.message
    assert "USER:PASSWORD@ before HOST" in finding.fix


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_one_that_forgets_when_it_is_full_is_warned_of(server: RedisServer, policy: str) -> None:
    await told(server, "maxmemory-policy", policy)
    finding = await check.redis(given(server))
    assert (finding.verdict, policy in finding.message) == ("warn", True)


async def test_a_replica_fails(server: RedisServer) -> None:
    redis = make_redis(server.url)
    await redis.replicaof("127.0.0.1", "1")
    await redis.aclose()
    finding = await check.redis(given(server))
    assert (finding.verdict, "is a replica" in finding.message) == ("fail", True)


async def test_what_it_cannot_do_for_us_is_found_by_having_it_done(server: RedisServer) -> None:
    """A user may ask for the time where he may not write; one that is full answers as ever."""
    rules = {"reads": "~* +@read +time +info +ping +client", "elsewhere": "~other:* +@all"}
    for user, may in rules.items():
        await let_in(server, user, may)
        finding = await check.redis(Settings(redis_url=SecretStr(_of_user(server, user))))
        assert (finding.verdict, "this user may not" in finding.message) == ("fail", True)
        assert "redis.prefix" in finding.fix
        assert "s3cret" not in finding.message + finding.fix
    await told(server, "maxmemory", "1mb")
    finding = await check.redis(given(server))
    assert (finding.verdict, "it is full" in finding.message) == ("fail", True)


async def test_a_user_who_may_not_ask_how_it_is_is_good_enough(server: RedisServer) -> None:
    await let_in(server, "liba", "~liba:* +@all -@dangerous")
    finding = await check.redis(Settings(redis_url=SecretStr(_of_user(server, "liba"))))
    assert finding.verdict == "ok"


async def test_its_own_keys_are_gone_a_second_later(server: RedisServer) -> None:
    await check.redis(given(server))
    redis = make_redis(server.url)
    left_ms = [await redis.pttl(key) for key in await redis.keys("*")]
    await redis.aclose()
    assert all(left <= 1000 and left != -1 for left in left_ms)


def _of_user(server: RedisServer, user: str) -> str:
    return server.url.replace("//", f"//{user}:s3cret@")


USELESS: list[tuple[dict[str, Any], str]] = [
    ({"redis_version": "4.0.14"}, "too old"),
    ({"redis_version": "7.4.1", "redis_mode": "cluster"}, "Redis Cluster"),
    ({"redis_version": "7.4.1", "cluster_enabled": 1}, "Redis Cluster"),
    ({"redis_version": "7.4.1", "redis_mode": "sentinel"}, "Sentinel"),
    ({"redis_version": "7.4.1", "role": "slave"}, "is a replica"),
]


@pytest.mark.parametrize(("answer", "words"), USELESS)
def test_one_that_can_do_nothing_for_us_fails(answer: dict[str, Any], words: str) -> None:
    finding = check._useless("redis://there/0", answer)
    assert finding is not None
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert words in finding.message


def test_what_tells_little_of_itself_is_not_refused_for_it() -> None:
    assert check._useless("redis://there/0", {}) is None
    assert check._useless("redis://there/0", {"redis_version": "5.0.0"}) is None


JUDGED: list[tuple[dict[str, Any], float, str, str]] = [
    ({"redis_version": "5.0.0"}, 0.0, "ok", "5.0.0"),
    ({"redis_version": "7.4.1"}, 31.0, "warn", "31 s ahead of"),
    ({"redis_version": "7.4.1"}, -7.0, "warn", "7 s behind"),
    ({"redis_version": "7.4.1"}, 4.0, "ok", "policy unknown"),
    ({}, 0.0, "ok", "Redis ?"),
]


@pytest.mark.parametrize(("answer", "ahead_s", "verdict", "words"), JUDGED)
def test_its_age_and_its_clock_are_judged(
    answer: dict[str, Any], ahead_s: float, verdict: str, words: str
) -> None:
    finding = check._judged("redis://there/0", answer, ahead_s, took_s=0.001)
    assert finding.verdict == verdict
    assert words in finding.message
