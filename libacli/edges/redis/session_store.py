"""Codes and sessions in Redis: the SessionStore that servers share.

Below `PREFIX:web:codes` and `PREFIX:web:sessions`, each: `...:DIGEST` has the value, with a TTL; the key
itself is a sorted set of digests by arrival, `...:of:NAME` one of those of a name, in which the host has 0,
and `...:ends` one by the time when they expire. `PREFIX:web:ended:NAME`: nobody of this name is let in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from math import ceil
from typing import Any, TypeVar

from libacli.core.entry import MOST_GUESTS, MOST_KEPT, EntryCode, Session
from libacli.edges.redis.shared import SharedRedis, read_all, read_kept

_GRACE_S = 3600.0
"""So long a session is known after its end: somebody has to notice it, and put its viewers out."""

_LISTS_S = 24 * 3600.0
"""Longer than any session lasts; each new one begins it anew."""

_DROP = """
local function drop(digest)
  local key = KEYS[1] .. ':' .. digest
  local value = redis.call('GET', key)
  redis.call('ZREM', KEYS[1], digest)
  redis.call('ZREM', KEYS[1] .. ':ends', digest)
  if value then
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[1] .. ':of:' .. cjson.decode(value).name, digest)
  end
  return value
end
local function drop_all(digests)
  local dropped = {}
  for _, digest in ipairs(digests) do
    local value = drop(digest)
    if value then dropped[#dropped + 1] = value end
  end
  return dropped
end
"""

_PUT = (
    _DROP
    + """
local digest, value, name, ttl_ms, ends_at, is_guest, most, most_guests, lists_ms = unpack(ARGV)
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local of_name = KEYS[1] .. ':of:' .. name
local gone = {}
if is_guest == '1' and redis.call('ZCOUNT', of_name, '(0', '+inf') >= tonumber(most_guests) then
  gone = drop_all(redis.call('ZRANGEBYSCORE', of_name, '(0', '+inf', 'LIMIT', 0, 1))
end
local number = redis.call('INCR', KEYS[1] .. ':arrivals')
redis.call('SET', KEYS[1] .. ':' .. digest, value, 'PX', ttl_ms)
redis.call('ZADD', KEYS[1], number, digest)
redis.call('ZADD', KEYS[1] .. ':ends', ends_at, digest)
redis.call('ZADD', of_name, is_guest == '1' and number or 0, digest)
for _, list in ipairs({KEYS[1], KEYS[1] .. ':ends', KEYS[1] .. ':arrivals', of_name}) do
  redis.call('PEXPIRE', list, lists_ms)
end
if redis.call('ZCARD', KEYS[1]) > tonumber(most) then
  for _, value in ipairs(drop_all(redis.call('ZRANGE', KEYS[1], 0, 0))) do gone[#gone + 1] = value end
end
return gone
"""
)
_TAKE = _DROP + "return drop(ARGV[1])"
_DROP_THESE = _DROP + "return drop_all(ARGV)"
_DROP_EXPIRED = _DROP + "return drop_all(redis.call('ZRANGEBYSCORE', KEYS[1] .. ':ends', '-inf', ARGV[1]))"
_DROP_NAMED = (
    _DROP
    + """
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return drop_all(redis.call('ZRANGE', KEYS[1] .. ':of:' .. ARGV[1], 0, -1))
"""
)

_Kept = TypeVar("_Kept", Session, EntryCode)


class RedisSessions:
    """A SessionStore."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared
        self._codes, self._sessions = shared.key("codes"), shared.key("sessions")
        register = shared.client.register_script
        self._put, self._take = register(_PUT), register(_TAKE)
        self._drop_these, self._drop_expired = register(_DROP_THESE), register(_DROP_EXPIRED)
        self._drop_named = register(_DROP_NAMED)

    async def put_code(self, digest: str, code: EntryCode, *, valid_for_s: float) -> None:
        await self._keep(self._codes, digest, code, valid_for_s)

    async def take_code(self, digest: str) -> EntryCode | None:
        value = await self._shared.do(lambda: self._take(keys=[self._codes], args=[digest]))
        return read_kept(EntryCode, value) if value else None

    async def put_session(self, session: Session, *, valid_for_s: float) -> list[Session] | None:
        gone = await self._keep(self._sessions, session.digest, session, valid_for_s + _GRACE_S)
        return None if gone is None else _sessions(gone)

    async def find(self, digest: str) -> Session | None:
        value = await self._shared.do(lambda: self._shared.client.get(f"{self._sessions}:{digest}"))
        return read_kept(Session, value) if value else None

    async def kept(self, digests: Collection[str]) -> set[str]:
        asked = list(digests)
        values = await self._values(asked)
        return {digest for digest, value in zip(asked, values, strict=True) if value}

    async def all(self) -> list[Session]:
        found: list[Any] = await self._shared.do(lambda: self._shared.client.zrange(self._sessions, 0, -1))
        return _sessions(
            value for value in await self._values([one.decode(errors="replace") for one in found]) if value
        )

    async def drop(self, digests: Collection[str]) -> list[Session]:
        return await self._dropped(self._drop_these, [self._sessions], list(digests))

    async def drop_named(self, name: str) -> list[Session]:
        ended, lasts_ms = self._shared.key("ended", name), round(_LISTS_S * 1000)
        await self._dropped(self._drop_named, [self._codes, ended], [name, lasts_ms], read=False)
        return await self._dropped(self._drop_named, [self._sessions, ended], [name, lasts_ms])

    async def drop_expired(self, now: float) -> list[Session]:
        return await self._dropped(self._drop_expired, [self._sessions], [now])

    async def _keep(self, base: str, digest: str, kept: _Kept, ttl_s: float) -> list[bytes] | None:
        arguments: list[Any] = [digest, json.dumps(asdict(kept)), kept.name, max(1, ceil(ttl_s * 1000))]
        arguments += [kept.expires_at, int(kept.is_guest), MOST_KEPT, MOST_GUESTS, round(_LISTS_S * 1000)]
        keys = [base, self._shared.key("ended", kept.name)]
        gone: list[bytes] | None = await self._shared.do(lambda: self._put(keys=keys, args=arguments))
        return gone

    async def _values(self, digests: list[str]) -> list[bytes | str | None]:
        if not digests:
            return []
        keys = [f"{self._sessions}:{digest}" for digest in digests]
        return await self._shared.do(lambda: self._shared.client.mget(keys))

    async def _dropped(
        self, script: Any, keys: list[str], arguments: list[Any], *, read: bool = True
    ) -> list[Session]:
        values = await self._shared.do(lambda: script(keys=keys, args=arguments))
        return _sessions(values) if read else []


def _sessions(values: Iterable[bytes | str]) -> list[Session]:
    return read_all(Session, values)
