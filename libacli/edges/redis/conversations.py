"""The conversations of all machines in Redis: whose they are, who of these lives, and who ends the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from libacli.edges.redis.watch import RedisWatch
from libacli.errors import StoreError

if TYPE_CHECKING:
    from redis import Redis

Words = list[str | int | float]

_KEPT_MS = 2 * 86_400_000
"""Of all that is written, after the last time."""

_CLAIM_MS = 30_000
"""For ending one: three times what it may take. Then whoever had claimed it is gone."""

_JUST_NOW_S = 60
"""What was asked for since may stand here and be unknown to who looks at its own files."""

_STARTING_S = 90
"""So long after its start a Redis that has read its disk may have leases that nobody could renew."""

_PRELUDE = """
local time = redis.call('TIME')
local now_s, now_ms = tonumber(time[1]), time[1] * 1000 + math.floor(time[2] / 1000)
"""

_OTHERS = (
    _PRELUDE
    + """
local function others(name, longest)
  local count, found = 0, redis.call('HGETALL', KEYS[1])
  for i = 1, #found, 2 do
    if found[i] ~= name and now_s - cjson.decode(found[i + 1]).asked_at < tonumber(longest) then
      count = count + 1
    end
  end
  return count
end
"""
)

# KEYS: conversations. ARGV: name, longest
_COUNT = _OTHERS + "return others(ARGV[1], ARGV[2])"

# KEYS: conversations, leases. ARGV: name, text, owner, lease, kept, most, longest
_ENTER = (
    _OTHERS
    + """
local most = tonumber(ARGV[6])
if most > 0 and others(ARGV[1], ARGV[7]) >= most then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[2], now_ms + ARGV[4], ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
"""
)

# KEYS: conversations, leases, ended. ARGV: owner, machine, lease, kept, just now, its texts by name
_SHOW = (
    _PRELUDE
    + """
local mine = cjson.decode(ARGV[6])
local found = redis.call('HGETALL', KEYS[1])
for i = 1, #found, 2 do
  local there = cjson.decode(found[i + 1])
  if there.machine == ARGV[2] and not mine[found[i]] and now_s - there.asked_at > tonumber(ARGV[5]) then
    redis.call('HDEL', KEYS[1], found[i])
  end
end
for name, text in pairs(mine) do
  if cjson.decode(text).owner == ARGV[1] and redis.call('ZSCORE', KEYS[3], name) == false then
    redis.call('HSET', KEYS[1], name, text)
    redis.call('ZADD', KEYS[2], now_ms + ARGV[3], ARGV[1])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_ms - ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms - ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
"""
)

# KEYS: conversations, leases
_LAPSED = (
    _PRELUDE
    + """
local lapsed = {}
for _, text in ipairs(redis.call('HVALS', KEYS[1])) do
  local lease = redis.call('ZSCORE', KEYS[2], cjson.decode(text).owner)
  if lease == false or tonumber(lease) < now_ms then
    table.insert(lapsed, text)
  end
end
return lapsed
"""
)

# KEYS: leases, ended, claims of this one. ARGV: name, owner, claimer, claim, whether its owner is gone
_CLAIM = (
    _PRELUDE
    + """
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 'ended' end
local lease = redis.call('ZSCORE', KEYS[1], ARGV[2])
if ARGV[5] ~= '1' and lease and tonumber(lease) >= now_ms then return 'alive' end
if redis.call('SET', KEYS[3], ARGV[3], 'NX', 'PX', ARGV[4]) then return 'yours' end
return 'taken'
"""
)

# KEYS: conversations, ended, claims of this one. ARGV: name, whether others may not know, kept
_FORGET = (
    _PRELUDE
    + """
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[2], now_ms, ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
"""
)

# KEYS: claims of this one. ARGV: claimer
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisConversations:
    """Implements `ConversationStore`. `scope` is what the names of its keys begin with: one for each account.

    All times are by the clock of Redis.
    """

    def __init__(self, redis: Redis, watch: RedisWatch, scope: str, *, lease_s: float = 60.0) -> None:
        self.lease_s = lease_s
        self._redis = redis
        self._watch = watch
        self._scope = scope
        self._all, self._leases, self._ended = (
            f"{scope}:conversations",
            f"{scope}:conversation-leases",
            f"{scope}:conversations-ended",
        )
        self._count = redis.register_script(_COUNT)
        self._enter = redis.register_script(_ENTER)
        self._show = redis.register_script(_SHOW)
        self._lapsed = redis.register_script(_LAPSED)
        self._claim = redis.register_script(_CLAIM)
        self._forget = redis.register_script(_FORGET)
        self._release = redis.register_script(_RELEASE)

    @property
    def answers_for_s(self) -> float:
        """See `ConversationStore`."""
        return self._watch.answers_for_s

    def enter(self, name: str, text: str, owner: str, *, most: int, longest_s: float) -> bool:
        """See `ConversationStore`."""
        arguments: Words = [name, text, owner, self._lease_ms, _KEPT_MS, most, longest_s]
        with self._watch.asking():
            return bool(self._enter(keys=[self._all, self._leases], args=arguments))

    def others(self, name: str, *, longest_s: float) -> int:
        """See `ConversationStore`."""
        with self._watch.asking():
            return int(cast(int, self._count(keys=[self._all], args=[name, longest_s])))

    def show(self, owner: str, machine: str, texts: Mapping[str, str]) -> None:
        """See `ConversationStore`."""
        keys = [self._all, self._leases, self._ended]
        arguments: Words = [owner, machine, self._lease_ms, _KEPT_MS, _JUST_NOW_S, json.dumps(texts)]
        with self._watch.asking():
            self._show(keys=keys, args=arguments)

    def lapsed(self) -> list[str]:
        """See `ConversationStore`."""
        with self._watch.asking():
            found = cast(Sequence[bytes], self._lapsed(keys=[self._all, self._leases]))
            is_known = not found or not self._may_have_been_away()
        if not is_known:  # outside: it answers
            raise StoreError(
                f"Redis was started less than {_STARTING_S} s ago: "
                f"whether the owners of {len(found)} conversations live cannot be told yet",
                hint="try again after that",
            )
        return [text.decode() for text in found]

    def claim(self, name: str, owner: str, claimer: str, *, is_gone: bool) -> str:
        """See `ConversationStore`."""
        keys = [self._leases, self._ended, self._claim_of(name)]
        arguments: Words = [name, owner, claimer, _CLAIM_MS, int(is_gone)]
        with self._watch.asking():
            return cast(bytes, self._claim(keys=keys, args=arguments)).decode()

    def release(self, name: str, claimer: str) -> None:
        """See `ConversationStore`."""
        with self._watch.asking():
            self._release(keys=[self._claim_of(name)], args=[claimer])

    def forget(self, name: str, *, is_others: bool) -> None:
        """See `ConversationStore`."""
        keys = [self._all, self._ended, self._claim_of(name)]
        with self._watch.asking():
            self._forget(keys=keys, args=[name, int(is_others), _KEPT_MS])

    def let_go(self, owner: str) -> None:
        """See `ConversationStore`."""
        with self._watch.asking():
            self._redis.zrem(self._leases, owner)

    def close(self) -> None:
        """Closes its connections."""
        self._redis.close()

    @property
    def _lease_ms(self) -> int:
        return round(self.lease_s * 1000)

    def _claim_of(self, name: str) -> str:
        return f"{self._scope}:conversation-claim:{name}"

    def _may_have_been_away(self) -> bool:
        """Whether leases are to be waited for: it was started lately, with what it had kept on a disk."""
        from redis.exceptions import ResponseError

        try:
            told = cast(Mapping[str, Any], self._redis.info())
        except ResponseError:  # this user may not know
            return False
        is_empty = told.get("aof_enabled") == 0 and told.get("rdb_last_load_keys_loaded") == 0
        return not is_empty and int(told.get("uptime_in_seconds", _STARTING_S)) < _STARTING_S
