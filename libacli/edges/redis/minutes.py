"""The avatar time of a day in Redis: what each machine has used, of all rooms and of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, cast

from libacli.edges.redis.watch import RedisWatch

if TYPE_CHECKING:
    from redis.asyncio import Redis

_KEPT_MS = 48 * 3600 * 1000
"""Of a day, wherever on earth, and however wrong a clock is."""

# What is told twice counts once, and what is told late does not undo what was told since: the most holds.
_TELL = """
local others = {}
for i, key in ipairs(KEYS) do
  local told = tonumber(ARGV[2 + i])
  if told > tonumber(redis.call('HGET', key, ARGV[1]) or '0') then
    redis.call('HSET', key, ARGV[1], ARGV[2 + i])
    redis.call('PEXPIRE', key, ARGV[2])
  end
  local sum = 0
  local found = redis.call('HGETALL', key)
  for j = 1, #found, 2 do
    if found[j] ~= ARGV[1] then
      sum = sum + tonumber(found[j + 1])
    end
  end
  others[i] = tostring(sum)
end
return others
"""


class RedisMinutes:
    """Implements `MinutesStore`. `scope` is what the names of its keys begin with: one for each account."""

    def __init__(self, redis: Redis, watch: RedisWatch, scope: str) -> None:
        self._watch = watch
        self._scope = scope
        self._tell = redis.register_script(_TELL)

    async def exchange(
        self, day: date, machine: str, room: str, seconds: float, room_seconds: float
    ) -> tuple[float, float]:
        """See `MinutesStore`."""
        key = f"{self._scope}:minutes:{day}"
        room_key = f"{key}:{hashlib.sha256(room.encode()).hexdigest()[:16]}"
        arguments: list[str | int] = [machine, _KEPT_MS, f"{seconds:.3f}", f"{room_seconds:.3f}"]
        with self._watch.asking():
            found = await self._tell(keys=[key, room_key], args=arguments)
        all_rooms, this_room = map(float, cast(Sequence[bytes], found))
        return all_rooms, this_room
