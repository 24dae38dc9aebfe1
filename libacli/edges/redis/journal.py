"""The queue of one room in a Redis that machines share."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from libacli.core.journal import KEPT_FOR_S, KNOWN_FOR_S, MOST_ENDED, Ended, Legacy, Line, read_paused
from libacli.core.journal_place import DUE_AFTER_S, Place, Scope
from libacli.edges.redis.trouble import translated
from libacli.errors import FencedError, ForgottenError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger("liba.journal")

_LINE = b"line "

_WRITE = """
-- KEYS: queue (hash: `holder`, `count`, `line ID`), ended (sorted by time), waiting (rooms, sorted by time),
--       paused (a time)
-- ARGV: epoch, number of this write, room, time, oldest end, most ends, lifetime in s, paused since or empty,
--       then `line` ID JSON and `end` ID JSON TIME
local holder = redis.call('HGET', KEYS[1], 'holder')
if not holder then return 'forgotten' end
if holder ~= ARGV[1] then return 'fenced' end
-- One that was given up, and comes after one that was made later.
if tonumber(ARGV[2]) <= tonumber(redis.call('HGET', KEYS[1], 'count')) then return 'written' end
redis.call('HSET', KEYS[1], 'count', ARGV[2])
local at = 9
while at <= #ARGV do
  local field = 'line ' .. ARGV[at + 1]
  if ARGV[at] == 'line' then
    redis.call('HSET', KEYS[1], field, ARGV[at + 2])
    at = at + 3
  else
    redis.call('HDEL', KEYS[1], field)
    redis.call('ZADD', KEYS[2], ARGV[at + 3], ARGV[at + 2])
    at = at + 4
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[6])
if redis.call('HLEN', KEYS[1]) > 2 then
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
else
  redis.call('ZREM', KEYS[3], ARGV[3])
end
if ARGV[8] == '' then redis.call('DEL', KEYS[4]) else redis.call('SET', KEYS[4], ARGV[8]) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[7]) end
return 'written'
"""

_RELEASE = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if not holder then return 'forgotten' end
if holder ~= ARGV[1] then return 'fenced' end
redis.call('HSET', KEYS[1], 'holder', '')
redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[2])
return 'written'
"""


class RedisJournal:
    """Keeps the queue of `place`, for the agent of that `epoch`. Implements `Journal`.

    `make` makes the client, which is closed at the end; `clock` tells POSIX seconds.
    """

    def __init__(
        self, make: Callable[[], Redis], prefix: str, place: Place, *, epoch: str, clock: Callable[[], float]
    ) -> None:
        self._make = make
        self._redis: Redis | None = None
        self._queue = f"{prefix}:journal:{place.digest}"
        self._ended = f"{self._queue}:ended"
        self._paused = f"{self._queue}:paused"
        self._waiting = _waiting_key(prefix, place.scope)
        self._room = place.room
        self._epoch = epoch
        self._clock = clock
        self._count = 0
        """Writes that were begun."""

    async def take_over(self) -> Legacy:
        """See `Journal`."""
        oldest = self._clock() - KNOWN_FOR_S
        with translated():
            async with self._client().pipeline(transaction=True) as steps:
                steps.hset(self._queue, mapping={"holder": self._epoch, "count": self._count})
                steps.expire(self._queue, round(KEPT_FOR_S))
                steps.hgetall(self._queue)
                steps.zrangebyscore(self._ended, oldest, "+inf")
                steps.get(self._paused)
                _, _, fields, ended, paused = await steps.execute()
            if any(name.startswith(_LINE) for name in fields):
                await self._client().zadd(self._waiting, {self._room: self._clock()}, xx=True)
            else:  # else it would have agents sent for ever
                await self._client().zrem(self._waiting, self._room)
        lines = sorted(_read_lines(fields), key=lambda line: line.number)
        return Legacy(tuple(lines), tuple(_read_ended(ended)), _read_paused(paused))

    async def write(
        self, lines: Sequence[Line], ended: Sequence[Ended], *, paused_at: float | None = None
    ) -> None:
        """See `Journal`."""
        changes: list[Any] = []
        for line in lines:
            changes += ["line", line.id, json.dumps(line.encode())]
        for end in ended:
            changes += ["end", end.id, json.dumps(end.encode()), end.ended_at]
        now = self._clock()
        self._count += 1
        told = [self._epoch, self._count, self._room, now, now - KNOWN_FOR_S, MOST_ENDED, round(KEPT_FOR_S)]
        told.append("" if paused_at is None else paused_at)
        await self._run(_WRITE, [self._queue, self._ended, self._waiting, self._paused], [*told, *changes])

    async def release(self) -> None:
        """See `Journal`."""
        told = [self._epoch, self._room, self._clock() - DUE_AFTER_S - 1]
        await self._run(_RELEASE, [self._queue, self._waiting], told)

    async def remove(self) -> None:
        """See `Journal`."""
        with translated():
            async with self._client().pipeline(transaction=True) as steps:
                steps.delete(self._queue, self._ended, self._paused)
                steps.zrem(self._waiting, self._room)
                await steps.execute()

    async def aclose(self) -> None:
        """See `Journal`."""
        if self._redis:
            await self._redis.aclose()

    async def _run(self, script: str, keys: list[str], told: list[Any]) -> None:
        with translated():
            answer = await self._client().eval(script, len(keys), *keys, *told)
        if answer == b"forgotten":
            raise ForgottenError("Redis has lost the journal")
        if answer == b"fenced":
            raise FencedError("another agent has taken the journal over")

    def _client(self) -> Redis:
        self._redis = self._redis or self._make()
        return self._redis


async def waiting_rooms(redis: Redis, prefix: str, scope: Scope, *, clock: Callable[[], float]) -> list[str]:
    """Rooms in whose queue lines wait that may have lost their agent. Raises StoreError."""
    key, now = _waiting_key(prefix, scope), clock()
    with translated():
        async with redis.pipeline(transaction=True) as steps:
            steps.zremrangebyscore(key, "-inf", now - KEPT_FOR_S)
            steps.zrangebyscore(key, "-inf", now - DUE_AFTER_S)
            _, rooms = await steps.execute()
    return [room.decode(errors="replace") for room in rooms]


def _waiting_key(prefix: str, scope: Scope) -> str:
    return f"{prefix}:journal:{scope.digest}:waiting"


def _read_lines(fields: dict[bytes, bytes]) -> Iterator[Line]:
    for name, source in fields.items():
        if name.startswith(_LINE):
            try:
                yield Line.read(json.loads(source))
            except (ValueError, RecursionError) as error:
                logger.warning("an entry of the journal is left out: %s", error)


def _read_ended(sources: Sequence[bytes]) -> Iterator[Ended]:
    for source in sources:
        try:
            yield Ended.read(json.loads(source))
        except (ValueError, RecursionError) as error:
            logger.warning("an end in the journal is left out: %s", error)


def _read_paused(told: bytes | None) -> float | None:
    try:
        return read_paused(float(told)) if told else None
    except ValueError as error:
        logger.warning(
            "since when the queue is paused cannot be read, and it is not: %s", type(error).__name__
        )
        return None
