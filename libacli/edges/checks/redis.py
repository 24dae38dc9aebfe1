"""The check of the Redis that machines share: it answers, does what liba asks, and keeps what it has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from libacli.config import Settings
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.redis.connection import open_redis, place_of
from libacli.edges.redis.trial import try_out
from libacli.edges.redis.trouble import translated, trouble
from libacli.errors import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

NAME = "redis"

_SINCE = (5, 0)
"""From then on scripts that ask for the time may write: https://redis.io/docs/latest/develop/programmability/"""

_SKEW_OK_S = 5.0
_EVICTS = ("allkeys-", "volatile-")
"""The latter take what ends by itself, as all keys of ours do."""


_TOGETHER = "; until then each machine counts what it spends alone"


async def redis(settings: Settings) -> Finding:
    """Asks it, and has it keep something for a second.

    Raises ConfigError when `redis.url`, which is set, is no address.
    """
    assert settings.redis_url
    async with open_redis(settings) as client:
        assert client
        place = place_of(settings.redis_url.get_secret_value())
        try:
            with translated():
                told = await _told(client)
                if finding := _useless(place, told):
                    return finding
                asked_at = datetime.now(UTC).timestamp()
                seconds, micros = await client.time()
                answered_at = datetime.now(UTC).timestamp()
                await try_out(client, settings.redis_prefix)
        except StoreError as error:
            assert isinstance(error.__cause__, Exception)
            why, fix = trouble(error.__cause__)
            return Finding(NAME, "fail", f"{place} cannot be used: {why}", fix + _TOGETHER, WRONG_SETTING)
    ahead_s = (asked_at + answered_at) / 2 - (seconds + micros / 1e6)
    return _judged(place, told, ahead_s, took_s=answered_at - asked_at)


async def _told(client: Redis) -> Mapping[str, Any]:
    """What it tells of itself; nothing where this user may not ask."""
    from redis.exceptions import NoPermissionError

    await client.ping()
    try:
        told: Mapping[str, Any] = await client.info()
    except NoPermissionError:
        return {}
    return told


def _useless(place: str, told: Mapping[str, Any]) -> Finding | None:
    """Why one can do nothing for us that tells so much of itself."""
    version = str(told.get("redis_version", "?"))
    what = f"Redis {version} at {place}"
    if told.get("redis_mode") == "sentinel":
        fix = "name the Redis that it looks after in redis.url"
        return Finding(NAME, "fail", f"{what} is a Sentinel, which keeps nothing", fix, WRONG_SETTING)
    if told.get("redis_mode") == "cluster" or told.get("cluster_enabled"):
        fix = "name a Redis in redis.url that is alone, with replicas or without"
        return Finding(NAME, "fail", f"{what} is a node of a Redis Cluster", fix, WRONG_SETTING)
    if _numbers(version) < _SINCE:
        fix = "update it: 5.0 at least is needed"
        return Finding(NAME, "fail", f"{what} is too old", fix, WRONG_SETTING)
    if told.get("role") == "slave":
        fix = "name the one that it is a copy of in redis.url"
        return Finding(NAME, "fail", f"{what} is a replica, which takes nothing", fix, WRONG_SETTING)
    return None


def _judged(place: str, told: Mapping[str, Any], ahead_s: float, *, took_s: float) -> Finding:
    what = f"Redis {told.get('redis_version', '?')} at {place}"
    policy = str(told.get("maxmemory_policy", ""))
    if policy.startswith(_EVICTS):
        message = f"{what} forgets counts and conversations when it is full ({policy})"
        return Finding(NAME, "warn", message, "set maxmemory-policy noeviction there")
    if abs(ahead_s) >= _SKEW_OK_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        message = f"{what}: this machine's clock is {abs(ahead_s):.0f} s {side} its own"
        return Finding(NAME, "warn", message, "set this machine's clock: timedatectl set-ntp true")
    return Finding(NAME, "ok", f"{what}, answers in {took_s * 1000:.1f} ms, {policy or 'policy unknown'}")


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor; of what tells none, as other makers' servers may, the least that is needed."""
    words = version.split(".")[:2]
    return tuple(int(word) for word in words) if all(map(str.isdecimal, words)) else _SINCE
