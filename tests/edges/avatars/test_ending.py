from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libacli.edges.avatars.ending import Trace, end_by_name, end_orphans, end_surely
from libacli.edges.avatars.fakes import FAKE_VENDOR, FakeAvatarService
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.errors import AvatarError, LeftRunningError
from tests.avatar_contracts import invitation
from tests.edges.avatars.stage import now

FAILS = AvatarError("500", status=500, is_permanent=False, is_unsure=True)


class DeafService(FakeAvatarService):
    """Takes requests and never answers, or only after so many."""

    def __init__(self, *, deaf_ends: int = 1_000) -> None:
        super().__init__()
        self.asked_at: list[float] = []
        self._deaf_ends = deaf_ends

    async def end(self, conversation_id: str) -> None:
        self.asked_at.append(now())
        if len(self.asked_at) <= self._deaf_ends:
            await asyncio.Event().wait()
        await super().end(conversation_id)

    async def find(self, name: str) -> list[str]:
        await asyncio.Event().wait()
        return []


class DeafToEnds(DeafService):
    """One that can be asked what runs."""

    async def find(self, name: str) -> list[str]:
        return await FakeAvatarService.find(self, name)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "conversations")
    yield ledger
    await asyncio.to_thread(ledger.close)


async def begun(
    service: FakeAvatarService, ledger: Ledger, *, name: str = "liba-1-1", **fields: Any
) -> Entry:
    """A conversation that runs, as it is noted down while its creation is under way."""
    await service.create(invitation(name))
    entry = Entry(name, "demo", service.base_url, ledger.owner, vendor=service.vendor.name)
    entry = replace(entry, **fields)
    await asyncio.to_thread(ledger.write, entry)
    return entry


async def noted(ledger: Ledger) -> list[str]:
    return [entry.name for entry in await asyncio.to_thread(ledger.entries)]


async def test_what_is_ended_is_crossed_out(ledger: Ledger) -> None:
    service = FakeAvatarService()
    assert await end_surely(service, ledger, await begun(service, ledger, id="c1"))
    assert (service.ends, service.running, await noted(ledger)) == (["c1"], {}, [])


async def test_an_end_that_fails_is_tried_once_more(ledger: Ledger) -> None:
    service = FakeAvatarService()
    service.fail_ends(FAILS)
    assert await end_surely(service, ledger, await begun(service, ledger, id="c1"))
    assert (service.failed_ends, service.ends, await noted(ledger)) == (["c1"], ["c1"], [])


async def test_an_end_is_tried_again_when_the_service_wants_it_and_not_if_it_refuses(
    ledger: Ledger,
) -> None:
    service = FakeAvatarService()
    service.fail_ends(AvatarError("429", status=429, is_permanent=False, retry_in_s=2.0))
    began_at = now()
    assert await end_surely(service, ledger, await begun(service, ledger, id="c1"))
    assert (service.failed_ends, service.ends) == (["c1"], ["c1"])
    assert now() - began_at == pytest.approx(2.0)
    for refused in (
        AvatarError("401", status=401, is_permanent=True),
        AvatarError("429", status=429, is_permanent=False, retry_in_s=60.0),
    ):
        service = FakeAvatarService()
        service.fail_ends(refused)
        assert not await end_surely(service, ledger, await begun(service, ledger, id="c1"))
        assert (service.failed_ends, service.ends) == (["c1"], [])


async def test_of_what_was_left_behind_that_is_told_which_was_not_ended_after_the_others_were(
    ledger: Ledger,
) -> None:
    service = FakeAvatarService()
    for number in (1, 2, 3):
        await begun(service, ledger, name=f"liba-1-{number}", id=f"c{number}", owner="gone")
    service.fail_ends(AvatarError("401", status=401, is_permanent=True, hint="check TAVUS_API_KEY"))
    with pytest.raises(LeftRunningError, match="1 conversation was not ended") as caught:
        await end_orphans(service, ledger)
    assert (caught.value.ended, caught.value.left, len(service.running)) == (2, 1, 1)
    assert caught.value.hint == "check TAVUS_API_KEY; then liba reap again"
    assert len(await noted(ledger)) == 1


async def test_what_may_run_and_cannot_be_looked_for_is_told_by_whoever_reaps(ledger: Ledger) -> None:
    service = DeafService()
    await begun(service, ledger, owner="gone")
    with pytest.raises(LeftRunningError) as caught:
        await end_orphans(service, ledger)
    assert (caught.value.ended, caught.value.left, await noted(ledger)) == (0, 1, ["liba-1-1"])


async def test_what_could_not_be_ended_stays_noted_down_and_is_told(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    service = FakeAvatarService()
    service.fail_ends(FAILS, FAILS)
    assert not await end_surely(service, ledger, await begun(service, ledger, id="c1"))
    assert (service.failed_ends, await noted(ledger)) == (["c1", "c1"], ["liba-1-1"])
    assert "conversation c1 may still run and cost money: liba reap" in caplog.text


async def test_a_service_that_does_not_answer_is_asked_twice_within_the_bound(ledger: Ledger) -> None:
    service = DeafService()
    entry = await begun(service, ledger, id="c1")
    began_at = now()
    assert not await end_surely(service, ledger, entry)
    assert service.asked_at == [began_at, began_at + 2.0]
    assert now() - began_at == pytest.approx(4.0)
    assert await noted(ledger) == ["liba-1-1"]


async def test_ending_goes_on_however_often_it_is_cancelled(ledger: Ledger) -> None:
    service = DeafService(deaf_ends=1)
    entry = await begun(service, ledger, id="c1")
    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(end_surely(service, ledger, entry))
        for _ in range(3):
            await asyncio.sleep(0.1)
            ending.cancel()
    assert ending.cancelled()
    assert (service.ends, await noted(ledger)) == (["c1"], [])


async def test_fault_02_what_was_begun_unheard_is_found_by_its_name_and_ended(ledger: Ledger) -> None:
    service = FakeAvatarService()
    await service.create(invitation("liba-1-0"))
    await end_by_name(service, ledger, await begun(service, ledger))
    assert (service.ends, list(service.running), await noted(ledger)) == (["c2"], ["c1"], [])


async def test_f13_what_is_not_there_yet_stays_noted_down_until_the_last_look(ledger: Ledger) -> None:
    service = FakeAvatarService()
    entry = await begun(service, ledger)
    service.running.clear()
    assert await end_by_name(service, ledger, entry) is Trace.NONE
    assert (service.ends, await noted(ledger)) == ([], ["liba-1-1"])
    assert await end_by_name(service, ledger, entry, is_last_look=True) is Trace.NONE
    assert (service.ends, await noted(ledger)) == ([], [])


async def test_f13_whoever_reaps_does_not_cross_out_what_may_still_begin(
    ledger: Ledger, tmp_path: Path
) -> None:
    service, left = FakeAvatarService(), Ledger(tmp_path / "conversations")
    await begun(service, left, asked_at=1_000.0)
    late, service.running = service.running, {}
    await asyncio.to_thread(left.close)
    assert await end_orphans(service, ledger, clock=lambda: 1_119.0) == 0
    service.running = late
    assert await end_orphans(service, ledger, clock=lambda: 1_119.5) == 1
    assert (service.ends, await noted(ledger)) == (["c1"], [])


async def test_f13_what_never_began_is_crossed_out_by_whoever_reaps_later(
    ledger: Ledger, tmp_path: Path
) -> None:
    service, left = FakeAvatarService(), Ledger(tmp_path / "conversations")
    await begun(service, left, asked_at=1_000.0)
    service.running.clear()
    await asyncio.to_thread(left.close)
    assert await end_orphans(service, ledger, clock=lambda: 1_120.0) == 0
    assert await noted(ledger) == []


async def test_what_cannot_be_looked_for_stays_noted_down(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    service = FakeAvatarService()
    service.fail_finds(FAILS)
    await end_by_name(service, ledger, await begun(service, ledger))
    assert (service.ends, await noted(ledger)) == ([], ["liba-1-1"])
    assert "cannot tell whether liba-1-1 was begun" in caplog.text


@pytest.mark.parametrize("deaf_ends", [2, 1_000], ids=["one of two", "all"])
async def test_what_was_found_by_its_name_and_not_ended_stays_noted_down(
    ledger: Ledger, deaf_ends: int
) -> None:
    service = DeafToEnds(deaf_ends=deaf_ends)
    await service.create(invitation("liba-1-1"))
    await end_by_name(service, ledger, await begun(service, ledger))
    assert next(iter(service.running)) == "c1"
    assert await noted(ledger) == ["liba-1-1"]


async def test_looking_for_it_has_a_bound(ledger: Ledger) -> None:
    service = DeafService()
    entry = await begun(service, ledger)
    began_at = now()
    await end_by_name(service, ledger, entry)
    assert now() - began_at == 4.0
    assert await noted(ledger) == ["liba-1-1"]


async def test_conversations_that_end_by_themselves_alone_are_crossed_out(ledger: Ledger) -> None:
    service = FakeAvatarService(vendor=replace(FAKE_VENDOR, can_end=False, can_find=False))
    assert await end_surely(service, ledger, await begun(service, ledger, id="c1"))
    await end_by_name(service, ledger, await begun(service, ledger, name="liba-1-2"))
    assert (service.ends, service.failed_ends, await noted(ledger)) == ([], [], [])


async def test_of_what_was_left_behind_each_service_is_asked_for_its_own_alone(
    ledger: Ledger, tmp_path: Path
) -> None:
    service, left = FakeAvatarService(), Ledger(tmp_path / "conversations")
    await begun(service, left, name="with-id", id="c1")
    await begun(service, left, name="without-id")
    await begun(service, left, name="of-another-vendor", id="c9", vendor="another")
    await begun(service, left, name="of-another-address", id="c9", base_url="http://127.0.0.1:2")
    await begun(service, ledger, name="of-a-living-agent", id="c9")
    await asyncio.to_thread(left.close)
    assert await end_orphans(service, ledger) == 2
    assert sorted(service.ends) == ["c1", "c2"]
    assert await noted(ledger) == ["of-a-living-agent", "of-another-address", "of-another-vendor"]
