"""How many conversations of the account run, of this machine and of all, as an agent tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from libacli.core.usage import Usage
from libacli.edges.avatars.in_use import LOOK_EVERY_S, ConversationsInUse
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.shared_ledger import SharedLedger
from libacli.edges.redis.fakes import FakeConversations, FakeShared

SERVICE = "https://tavus.example"


def now() -> float:
    return asyncio.get_running_loop().time()


async def told(ledger: ConversationLedger, most: int) -> Sequence[Usage]:
    """What an agent tells that has just looked."""
    in_use = ConversationsInUse(ledger, vendor="tavus", base_url=SERVICE, most=most, clock=now)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(in_use.run())
        await asyncio.sleep(LOOK_EVERY_S / 2)
        looking.cancel()
    return in_use.usage()


async def begin(ledger: ConversationLedger, name: str, *, base_url: str = SERVICE) -> None:
    entry = Entry(name, "demo", base_url, ledger.owner, asked_at=now())
    await asyncio.to_thread(ledger.enter, entry)


async def test_those_of_all_machines_count_and_of_this_one_where_the_others_cannot_be_reached(
    tmp_path: Path,
) -> None:
    shared = FakeShared(asyncio.get_running_loop().time)
    here, there = (
        SharedLedger(Ledger(tmp_path / name), FakeConversations(shared), name) for name in ("here", "there")
    )
    await begin(here, "one")
    await begin(there, "two")
    assert await told(here, 3) == await told(there, 3) == [Usage("avatars", 2, 3, "conversations", 0.0)]
    shared.is_gone = True
    assert await told(here, 3) == [Usage("avatars", 1, 3, "conversations", 0.0)]
    for ledger in (here, there):
        await asyncio.to_thread(ledger.close)


async def test_those_of_another_service_do_not_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    await begin(ledger, "one")
    await begin(ledger, "other", base_url="https://proxy.example")
    assert await told(ledger, 2) == [Usage("avatars", 1, 2, "conversations", 0.0)]
    await asyncio.to_thread(ledger.close)


@pytest.mark.parametrize("most", [0])
async def test_where_there_is_no_cap_nothing_is_told(tmp_path: Path, most: int) -> None:
    assert await told(Ledger(tmp_path), most) == []
