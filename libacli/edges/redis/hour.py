"""The hour of characters in Redis: what each machine has spent of it, and what each agent promises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from libacli.core.hour import Spent, is_forgotten, minute_of
from libacli.core.hour_count import PROMISE_KEPT_S, HourOfAll
from libacli.edges.redis.watch import RedisWatch

if TYPE_CHECKING:
    from redis.asyncio import Redis

_KEPT_MS = 2 * 3600 * 1000
"""Of all of it, after the last line: nothing counts for longer than an hour and a minute."""

# What is told twice counts once, and what is told late does not undo what was told since: the most holds.
_TELL = """
local time, is_new = redis.call('TIME'), 0
for i = 4, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if tonumber(ARGV[i + 1]) > known then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    is_new = 1
  end
end
if ARGV[2] ~= '{}' then
  redis.call('HSET', KEYS[2], ARGV[1], time[1] .. ' ' .. ARGV[2])
  is_new = 1
elseif redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
  is_new = 1
end
if is_new == 1 then  -- a count would be the same again in a Redis that was emptied
  redis.call('SET', KEYS[3], time[1] .. '.' .. time[2])
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[3])
end
"""


class RedisHour:
    """Implements `HourStore`. `scope` is what the names of its keys begin with: one for each API key."""

    def __init__(self, redis: Redis, watch: RedisWatch, scope: str) -> None:
        self._redis = redis
        self._watch = watch
        self._keys = [f"{scope}:hour:{part}" for part in ("spent", "promised", "version")]
        self._seen: bytes | None = b""
        self._tell = redis.register_script(_TELL)

    async def tell(self, spent: Mapping[str, Spent], agent: str, promised: Mapping[str, int]) -> None:
        """See `HourStore`."""
        told: list[str | int] = []
        for teller, minutes in spent.items():
            for minute, accounts in minutes.items():
                for name, amount in accounts.items():
                    told += [f"{minute}/{teller}/{name}", amount]
        with self._watch.asking():
            await self._tell(keys=self._keys, args=[agent, json.dumps(promised), _KEPT_MS, *told])

    async def read(self, now: float) -> HourOfAll | None:
        """See `HourStore`."""
        with self._watch.asking():
            if self._seen and await self._redis.get(self._keys[2]) == self._seen:
                return None
            pipe = self._redis.pipeline(transaction=True)
            pipe.get(self._keys[2])
            pipe.hgetall(self._keys[0])
            pipe.hgetall(self._keys[1])
            pipe.time()
            version, spent, promised, (now_there, _) = await pipe.execute()
            found = HourOfAll()
            old = _add_spent(found, spent, now)
            old_promises = _add_promises(found, promised, now_there)
            if old:
                await self._redis.hdel(self._keys[0], *old)
            if old_promises:
                await self._redis.hdel(self._keys[1], *old_promises)
        # Promises end by themselves, and so have to be looked at again.
        self._seen = None if found.promised else version
        return found


def _add_spent(found: HourOfAll, fields: Mapping[bytes, bytes], now: float) -> list[bytes]:
    """What counts of it is added; what does not any more is returned."""
    old = []
    for field, told in fields.items():
        try:
            minute, teller, name = field.decode().split("/", 2)
            # From the future, where that machine's clock is ahead: as if it were spent now.
            at, amount = min(int(minute), minute_of(now)), int(told)
        except ValueError:  # another's: it counts nothing
            continue
        if is_forgotten(at, now):
            old.append(field)
        else:
            accounts = found.spent.setdefault(teller, {}).setdefault(at, {})
            accounts[name] = accounts.get(name, 0) + amount
    return old


def _add_promises(found: HourOfAll, fields: Mapping[bytes, bytes], now_there: int) -> list[bytes]:
    """The same; their age is by the clock of Redis alone."""
    old = []
    for agent, said in fields.items():
        try:
            said_at, accounts = _read_promise(said)
        except ValueError:  # another's
            continue
        if now_there - said_at > PROMISE_KEPT_S:
            old.append(agent)
        else:
            found.promised[agent.decode(errors="replace")] = accounts
    return old


def _read_promise(said: bytes) -> tuple[int, dict[str, int]]:
    """When it was said, and what is promised. Raises ValueError."""
    said_at, _, source = said.decode().partition(" ")
    accounts = json.loads(source)
    if not isinstance(accounts, dict) or not all(isinstance(amount, int) for amount in accounts.values()):
        raise ValueError("it is no promise")
    return int(said_at), accounts
