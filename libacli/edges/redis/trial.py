"""Whether a Redis does what liba asks of one: one that only answers, or only reads, is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

_KEYS = 3
"""So many that a cluster has them on several of its nodes."""

_TRY = """
local time = redis.call('TIME')
for _, key in ipairs(KEYS) do redis.call('SET', key, time[1], 'PX', 1000) end
"""


async def try_out(redis: Redis, prefix: str) -> None:
    """Has a script ask for the time, and keep something for a second. Raises what the client does."""
    keys = [f"{prefix}:try:{number}" for number in range(_KEYS)]
    await redis.eval(_TRY, len(keys), *keys)
