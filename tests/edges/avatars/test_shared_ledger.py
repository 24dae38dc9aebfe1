"""Leases of conversations in virtual time: how long it takes until another machine ends what one has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libacli.edges.avatars.fakes import FAKE_VENDOR, FakeAvatarService
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.reaping import end_lapsed, nobody
from libacli.edges.avatars.shared_ledger import SharedLedger
from libacli.edges.redis.fakes import FakeConversations, FakeShared
from libacli.errors import StoreError
from tests.avatar_contracts import invitation
from tests.edges.avatars.stage import now

LOOK_S = 30.0
"""Between two looks of a worker."""


@pytest.fixture
async def shared() -> FakeShared:
    return FakeShared(asyncio.get_running_loop().time)


@pytest.fixture
async def service() -> FakeAvatarService:
    return FakeAvatarService()


@pytest.fixture
async def ledgers(shared: FakeShared, tmp_path: Path) -> AsyncIterator[tuple[SharedLedger, SharedLedger]]:
    """Of two machines."""
    one, other = (
        SharedLedger(Ledger(tmp_path / name), FakeConversations(shared), name) for name in ("one", "other")
    )
    yield one, other
    for ledger in (one, other):
        await asyncio.to_thread(ledger.close)


async def begin(service: FakeAvatarService, ledger: SharedLedger, *, id: str = "c1") -> Entry:
    entry = Entry("liba-1", "demo", service.base_url, ledger.owner, id, FAKE_VENDOR.name, asked_at=now())
    await service.create(invitation(entry.name))
    await asyncio.to_thread(ledger.enter, entry)
    return entry


async def look(service: FakeAvatarService, ledger: SharedLedger, *, for_s: float) -> float:
    """Looks as a worker does; when something was ended, infinite when nothing was."""
    until = now() + for_s
    while now() < until:
        try:
            if await end_lapsed(service, ledger, nobody, clock=now):
                return now()
        except StoreError:
            pass
        await asyncio.sleep(LOOK_S)
    return float("inf")


async def test_what_a_living_one_has_is_never_ended(
    service: FakeAvatarService, ledgers: tuple[SharedLedger, SharedLedger]
) -> None:
    one, other = ledgers
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(one.keep())
        await begin(service, one)
        assert await look(service, other, for_s=3600) == float("inf")
        keeping.cancel()
    assert service.ends == []


@pytest.mark.parametrize("lived_s", [0.0, 10.0, 59.0, 200.5])
async def test_what_a_machine_has_left_that_is_gone_is_ended_within_two_minutes(
    service: FakeAvatarService, ledgers: tuple[SharedLedger, SharedLedger], lived_s: float
) -> None:
    one, other = ledgers
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(one.keep())
        await begin(service, one)
        await asyncio.sleep(lived_s)
        keeping.cancel()
    gone_at = now()
    assert 40 <= await look(service, other, for_s=600) - gone_at <= 120
    assert service.ends == ["c1"]


@pytest.mark.parametrize("away_s", [5.0, 55.0, 300.0, 301.3])
@pytest.mark.parametrize("is_empty", [True, False])
async def test_a_place_that_was_gone_for_minutes_makes_nobody_an_orphan(
    service: FakeAvatarService,
    shared: FakeShared,
    ledgers: tuple[SharedLedger, SharedLedger],
    away_s: float,
    is_empty: bool,
) -> None:
    one, other = ledgers
    async with asyncio.TaskGroup() as tasks:
        keeping = [tasks.create_task(ledger.keep()) for ledger in ledgers]
        await begin(service, one)
        looking = tasks.create_task(look(service, other, for_s=3600))
        await asyncio.sleep(100)
        shared.is_gone = True
        await asyncio.sleep(away_s)
        shared.is_gone = False
        if is_empty:
            shared.lose_everything()
        assert await looking == float("inf")
        for task in keeping:
            task.cancel()
    assert service.ends == []
    assert list(shared.texts) == ["liba-1"], "it was written down again"


async def test_one_that_was_being_asked_for_is_looked_for_until_it_can_begin_no_more(
    service: FakeAvatarService, ledgers: tuple[SharedLedger, SharedLedger]
) -> None:
    one, other = ledgers
    entry = Entry("liba-1", "demo", service.base_url, one.owner, "", FAKE_VENDOR.name, asked_at=now())
    await asyncio.to_thread(one.enter, entry)
    asyncio.get_running_loop().call_later(100, service._begin, "late", invitation("liba-1"))
    assert await look(service, other, for_s=600) <= 150
    assert (service.ends, await asyncio.to_thread(other.lapsed)) == (["late"], [])
