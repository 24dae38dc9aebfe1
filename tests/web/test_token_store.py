"""Tokens of viewers, in memory and shared: the same rules."""

from __future__ import annotations

import asyncio

from libacli.core.entry import Leaving, Session
from libacli.web.stores import Stores
from tests.redis_server import RedisServer
from tests.web.store_kinds import anyio_backend, real_redis, shared_stores, stores

__all__ = ["anyio_backend", "real_redis", "stores"]

NOW = 1_764_460_800.25
ANN = Session("session 1", "demo", False, NOW + 3600, identity="viewer-ann", digest="a")
BEN = Session("session 2", "lobby", False, NOW + 3600, identity="viewer-ben", digest="b")


async def count(stores: Stores, session: Session, valid_for_s: float, now: float = NOW) -> float | None:
    return await stores.tokens.count(session, now + valid_for_s, most=3, now=now)


async def test_so_many_are_valid_at_a_time_and_then_it_is_told_when_the_next_one_may_be(
    stores: Stores,
) -> None:
    assert [await count(stores, ANN, seconds) for seconds in (30, 10, 20)] == [None] * 3
    assert await count(stores, ANN, 60) == NOW + 10
    assert await count(stores, BEN, 60) is None
    assert await stores.tokens.live("viewer-ann", NOW) == 3
    assert await stores.tokens.live("viewer-ann", NOW + 10) == 2
    assert await count(stores, ANN, 60, NOW + 10) is None


async def test_who_had_a_token_has_to_leave_until_a_while_after_the_last_one(stores: Stores) -> None:
    for seconds in (30, 10):
        await count(stores, ANN, seconds)
    await stores.tokens.dismiss(ANN, leeway_s=60)
    await stores.tokens.dismiss(BEN, leeway_s=60)
    assert await stores.tokens.leaving() == [Leaving("viewer-ann", "demo", NOW + 90)]
    assert await stores.tokens.live("viewer-ann", NOW) == 0
    await stores.tokens.forget(["viewer-ann", "viewer-ben"])
    assert await stores.tokens.leaving() == []


async def test_who_had_one_has_to_leave_also_when_it_has_expired(stores: Stores) -> None:
    await count(stores, ANN, 10)
    assert await stores.tokens.live("viewer-ann", NOW + 600) == 0
    await stores.tokens.dismiss(ANN, leeway_s=60)
    assert [leaving.identity for leaving in await stores.tokens.leaving()] == ["viewer-ann"]


async def test_servers_count_together_and_take_turns(real_redis: RedisServer) -> None:
    async with shared_stores(real_redis, "turns") as (one, _), shared_stores(real_redis, "turns") as (two, _):
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(count(stores, ANN, 600)) for stores in (one, two) * 5]
        assert [task.result() for task in asked].count(None) == 3
        turns = [await stores.tokens.take_turn(5) for stores in (one, two, one)]
        assert turns == [True, False, False]
