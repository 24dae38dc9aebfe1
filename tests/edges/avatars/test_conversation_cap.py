"""`avatar.max_conversations`: as many run at a time as the account has; a room that gets none speaks on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.edges.avatars.fakes import FAKE_VENDOR, lost_answer
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.livekit.signing import wall_clock
from libacli.errors import AvatarError
from tests.edges.avatars.stage import SUBSCRIBED_S, staged

READY_S = 1.0 + SUBSCRIBED_S + 0.1
FULL = "too many conversations"
ONE = AvatarPolicy(max_conversations=1)


@asynccontextmanager
async def elsewhere(folder: Path, *names: str) -> AsyncIterator[tuple[Ledger, list[Entry]]]:
    """Conversations of other rooms."""
    ledger = Ledger(folder / "conversations")
    entries = [
        Entry(
            name, "other", "http://127.0.0.1:1", ledger.owner, name, FAKE_VENDOR.name, asked_at=wall_clock()
        )
        for name in names
    ]
    for entry in entries:
        await asyncio.to_thread(ledger.enter, entry)
    yield ledger, entries
    for entry in entries:
        await asyncio.to_thread(ledger.forget, entry)
    await asyncio.to_thread(ledger.close)


async def test_a_room_that_gets_none_asks_for_none_and_has_one_soon_after_another_one_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with elsewhere(tmp_path, "x") as (ledger, (running,)), staged(tmp_path, policy=ONE) as stage:
        await asyncio.sleep(300)
        assert (stage.sink.state, stage.service.invitations) == (FULL, [])
        await asyncio.to_thread(ledger.forget, running)
        await asyncio.sleep(60 + READY_S)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 1)
    assert "no avatar: as many conversations run as are allowed at a time, 1; next try in 60 s" in caplog.text


async def test_its_own_place_is_free_again_for_the_next_avatar_of_the_room(tmp_path: Path) -> None:
    policy = replace(ONE, max_duration_s=120, renew_before_s=60)
    async with staged(tmp_path, policy=policy) as stage:
        await asyncio.sleep(READY_S)
        states = await stage.states(300)
        assert FULL not in states
        assert len(stage.service.invitations) == 6


async def test_an_overlap_for_which_there_is_no_place_keeps_the_older_one_as_long_as_it_is_of_use(
    tmp_path: Path,
) -> None:
    policy = replace(ONE, max_duration_s=120, renew_before_s=60, may_overlap=True)
    async with staged(tmp_path, policy=policy) as stage:
        await asyncio.sleep(READY_S)
        assert await stage.states(80) == ["ready"]
        assert len(stage.service.invitations) == 1
        await asyncio.sleep(30)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 2)


async def test_one_that_may_have_been_begun_keeps_its_place_until_that_is_known(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=ONE) as stage:
        stage.service.play(lost_answer())
        stage.service.fail_finds(*[AvatarError("no answer", is_permanent=False)])
        await asyncio.sleep(20)
        assert (stage.sink.state, len(stage.service.invitations)) == (FULL, 1)
        await asyncio.sleep(80)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 2)


async def test_a_local_avatar_costs_nothing_and_has_no_such_cap(tmp_path: Path) -> None:
    async with (
        elsewhere(tmp_path, "x"),
        staged(tmp_path, policy=replace(ONE, is_local=True), doubts=1) as stage,
    ):
        await asyncio.sleep(READY_S)
        assert stage.sink.state == "ready"
