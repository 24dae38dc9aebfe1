"""The check of the Redis that machines share: it answers, can be written to, and keeps what it has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from libacli.config import Settings
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.redis.connection import open_redis, place_of, translated
from libacli.errors import StoreError

NAME = "redis"

_SINCE = (5, 0)
"""From then on scripts that ask for the time may write: https://redis.io/docs/latest/develop/programmability/"""

_SKEW_OK_S = 5.0
_EVICTS = ("allkeys-", "volatile-")
"""The latter take what ends by itself, as all keys of ours do."""


async def redis(settings: Settings) -> Finding:
    """Asks it, and writes nothing. Raises ConfigError when `redis.url`, which is set, is no address."""
    assert settings.redis_url
    place = place_of(settings.redis_url.get_secret_value())
    async with open_redis(settings) as client:
        assert client
        try:
            with translated():
                asked_at = datetime.now(UTC).timestamp()
                seconds, micros = await client.time()
                answered_at = datetime.now(UTC).timestamp()
                told = await client.info()
        except StoreError as error:
            fix = "start it, or check redis.url; until then each machine counts what it spends alone"
            return Finding(NAME, "fail", f"{place} cannot be used: {_why(error)}", fix, WRONG_SETTING)
    ahead_s = (asked_at + answered_at) / 2 - (seconds + micros / 1e6)
    return _judged(place, told, ahead_s, took_s=answered_at - asked_at)


def _judged(place: str, told: Mapping[str, Any], ahead_s: float, *, took_s: float) -> Finding:
    version = str(told.get("redis_version", "?"))
    what = f"Redis {version} at {place}"
    if _numbers(version) < _SINCE:
        fix = "update it: 5.0 at least is needed"
        return Finding(NAME, "fail", f"{what} is too old", fix, WRONG_SETTING)
    if told.get("role") == "slave":
        fix = "name the one that it is a copy of in redis.url"
        return Finding(NAME, "fail", f"{what} is a replica, which takes nothing", fix, WRONG_SETTING)
    policy = str(told.get("maxmemory_policy", ""))
    if policy.startswith(_EVICTS):
        message = f"{what} forgets counts and conversations when it is full ({policy})"
        return Finding(NAME, "warn", message, "set maxmemory-policy noeviction there")
    if abs(ahead_s) >= _SKEW_OK_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        message = f"{what}: this machine's clock is {abs(ahead_s):.0f} s {side} its own"
        return Finding(NAME, "warn", message, "set this machine's clock: timedatectl set-ntp true")
    return Finding(NAME, "ok", f"{what}, answers in {took_s * 1000:.1f} ms, {policy or 'policy unknown'}")


def _why(error: StoreError) -> str:
    """Its name for it: what it says may hold a user and an address."""
    return type(error.__cause__).__name__ if error.__cause__ else str(error)


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor; of what tells none, as other makers' servers may, the least that is needed."""
    words = version.split(".")[:2]
    return tuple(int(word) for word in words) if all(map(str.isdecimal, words)) else _SINCE
