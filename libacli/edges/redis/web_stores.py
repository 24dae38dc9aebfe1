"""The rest of what servers share: tokens of viewers, where utterances went, how often somebody called."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from math import ceil
from typing import Any

from limits.aio.storage import RedisStorage

from libacli.core.entry import SENT_KEPT_S, Leaving, SentUtterance, Session
from libacli.edges.redis.shared import SharedRedis, read_all, read_kept
from libacli.errors import StoreError

_KEPT_AFTER_S = 3600.0
"""So long after its session's end a viewer's tokens are known, for who notices that and puts him out."""

_LEAVING_S = 24 * 3600.0
_COUNT = """
local now, ends_at, most, member, ttl_ms = unpack(ARGV)
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
if #live / 2 >= tonumber(most) then return live[2] end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], ends_at, member)
redis.call('PEXPIRE', KEYS[1], ttl_ms)
return false
"""
_DISMISS = """
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('DEL', KEYS[1])
if not last[2] then return end
local leaving = {identity = ARGV[1], room = ARGV[2], ['until'] = tonumber(last[2]) + tonumber(ARGV[3])}
redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(leaving))
redis.call('PEXPIRE', KEYS[2], ARGV[4])
"""


class RedisTokens:
    """A TokenStore."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared
        self._redis = shared.client
        self._leaving = shared.key("leaving")
        self._count = self._redis.register_script(_COUNT)
        self._dismiss = self._redis.register_script(_DISMISS)

    async def count(self, session: Session, until: float, *, most: int, now: float) -> float | None:
        ttl_ms = ceil((session.expires_at - now + _KEPT_AFTER_S) * 1000)
        arguments: list[float | str] = [now, until, most, os.urandom(8).hex(), ttl_ms]
        keys = [self._key(session.identity)]
        free_at = await self._shared.do(lambda: self._count(keys=keys, args=arguments))
        return None if free_at is None else float(free_at)

    async def live(self, identity: str, now: float) -> int:
        return await self._shared.do(lambda: self._redis.zcount(self._key(identity), f"({now}", "+inf"))

    async def dismiss(self, session: Session, *, leeway_s: float) -> None:
        keys = [self._key(session.identity), self._leaving]
        arguments: list[float | str] = [session.identity, session.room, leeway_s, round(_LEAVING_S * 1000)]
        await self._shared.do(lambda: self._dismiss(keys=keys, args=arguments))

    async def leaving(self) -> list[Leaving]:
        values = await self._shared.do(lambda: self._redis.hvals(self._leaving))
        return read_all(Leaving, values)

    async def forget(self, identities: Iterable[str]) -> None:
        gone = list(identities)
        await self._shared.do(lambda: self._redis.hdel(self._leaving, *gone))

    async def take_turn(self, for_s: float) -> bool:
        key, for_ms = self._shared.key("turn"), max(1, round(for_s * 1000))
        return bool(await self._shared.do(lambda: self._redis.set(key, b"1", nx=True, px=for_ms)))

    def _key(self, identity: str) -> str:
        return self._shared.key("tokens", identity)


class RedisSentUtterances:
    """A SentStore."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared

    async def remember(self, caller: str, utterance_id: str, sent: SentUtterance) -> None:
        key, value = self._key(caller, utterance_id), json.dumps(asdict(sent))
        await self._shared.do(lambda: self._shared.client.set(key, value, px=round(SENT_KEPT_S * 1000)))

    async def find(self, caller: str, utterance_id: str) -> SentUtterance | None:
        value = await self._shared.do(lambda: self._shared.client.get(self._key(caller, utterance_id)))
        return read_kept(SentUtterance, value) if value else None

    def _key(self, caller: str, utterance_id: str) -> str:
        named = hashlib.sha256(f"{caller}\0{utterance_id}".encode()).hexdigest()
        return self._shared.key("sent", named)


class RedisCounts(RedisStorage):
    """The storage of `limits`, over the connections that are there already. Raises StoreError."""

    STORAGE_SCHEME = []  # noqa: RUF012 - so the base declares it; it is made here alone, by no address

    def __init__(self, shared: SharedRedis) -> None:
        pool: Any = shared.client.connection_pool
        prefix = shared.key("counts")
        super().__init__("redis://", implementation="redispy", key_prefix=prefix, connection_pool=pool)
        self._shared = shared

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        ask = super().acquire_sliding_window_entry
        return await self._shared.do(lambda: ask(key, limit, expiry, amount))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        ask = super().get_sliding_window
        try:
            return await self._shared.do(lambda: ask(key, expiry))
        except ValueError as error:
            raise StoreError("what is counted in Redis is no number") from error
