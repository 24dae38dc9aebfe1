"""Renewal: with one conversation at a time, with two, and before a cap that nobody has announced."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.core.event import AgentFacts, Event, Report
from libacli.edges.avatars.fakes import ScriptedCreate, refusal
from libacli.edges.avatars.policy import AvatarPolicy
from tests.edges.avatars.stage import SUBSCRIBED_S, Stage, now, staged

READY_S = 1.0 + SUBSCRIBED_S + 0.1
POLICY = AvatarPolicy(max_duration_s=120, renew_before_s=60)
OVERLAPPING = replace(POLICY, may_overlap=True)
TOO_MANY = refusal(400, is_permanent=False)


async def ready(stage: Stage) -> None:
    await asyncio.sleep(READY_S)
    assert stage.sink.state == "ready"


def said_by_avatar(stage: Stage) -> None:
    report = Report("u1", "done", route="avatar")
    stage.session.demand.take_event(Event(AgentFacts("room", "liba", epoch="e1"), report, t0=1.0))


async def until(at_s: float) -> None:
    await asyncio.sleep(at_s - now())


async def test_f8_one_conversation_at_a_time_is_renewed_by_ending_it_before_the_next_begins(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, policy=POLICY, max_conversations=1) as stage:
        await ready(stage)
        assert await stage.states(70) == ["ready", "not ready", "ready"]
        assert (len(stage.service.invitations), stage.service.ends) == (2, ["c1"])


async def test_f8_a_line_that_is_on_its_way_is_finished_before_its_avatar_is_ended(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY, max_conversations=1) as stage:
        await ready(stage)
        await until(55)
        first = (await stage.sink.start(lambda: None)).target
        await until(80)
        assert (stage.service.ends, len(stage.service.invitations)) == ([], 1)
        await stage.sink.clear()
        await asyncio.sleep(0.1)
        assert stage.service.ends == ["c1"]
        await asyncio.sleep(READY_S)
        second = (await stage.sink.start(lambda: None)).target
        await stage.sink.clear()
        assert first != second


async def test_f8_lines_meanwhile_wait_for_the_next_avatar_as_for_the_first(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY, max_conversations=1) as stage:
        await ready(stage)
        await until(60.5)
        assert await stage.sink.gate() == ""
        assert now() == pytest.approx(60 + 1.0 + SUBSCRIBED_S)


async def test_f8_that_the_older_one_leaves_when_it_is_ended_is_no_loss(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY) as stage:
        await ready(stage)
        await until(500)
        assert stage.sink.state in ("ready", "not ready")
        assert not stage.sink.trouble.is_set()
        assert len(stage.service.ends) == len(stage.service.invitations) - 1


async def test_f8_a_refused_renewal_keeps_the_older_one_for_as_long_as_it_is_of_use(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=OVERLAPPING, max_conversations=1) as stage:
        await ready(stage)
        await until(89)
        assert (len(stage.service.invitations), stage.service.ends) == (2, [])
        assert stage.sink.state == "ready"
        await until(90 + READY_S)  # half of what was left
        assert (stage.sink.state, stage.service.ends) == ("ready", ["c1"])
        assert len(stage.service.invitations) == 3


async def test_f9_a_newer_one_that_never_joins_leaves_the_older_one_in_its_place(tmp_path: Path) -> None:
    policy = replace(OVERLAPPING, join_timeout_s=20)
    async with staged(tmp_path, policy=policy) as stage:
        await ready(stage)
        stage.avatars.joins = False
        assert await stage.states(60 + 20 + 2) == ["ready"]
        assert stage.service.ends == ["c2"]
        stage.avatars.joins = True
        await until(90 + READY_S)
        assert (stage.sink.state, sorted(stage.service.ends)) == ("ready", ["c1", "c2"])


async def test_f9_two_are_never_there_at_once_unless_that_is_allowed(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY) as stage:
        for _ in range(600):
            await asyncio.sleep(1)
            assert len(stage.service.running) <= 1
            assert len(stage.room.remote_participants) <= 2  # with the viewer


async def test_f9_an_account_that_takes_one_alone_is_not_asked_for_two_again(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=OVERLAPPING, max_conversations=1) as stage:
        await until(1000)
        refused = len(stage.service.invitations) - len(stage.service.begun)
        assert refused == 1


async def test_f8_a_cap_that_the_service_tells_of_afterwards_is_met_once(tmp_path: Path) -> None:
    async with staged(tmp_path, cap_s=180) as stage:
        await until(180 + 2 + READY_S)
        assert stage.service.ended_by_itself == ["c1"]
        await until(3000)
        assert stage.service.ended_by_itself == ["c1"]
        assert len(stage.service.invitations) > 10


@pytest.mark.parametrize("is_spoken", [True, False])
async def test_f8_a_cap_that_nobody_tells_of_is_met_twice(tmp_path: Path, is_spoken: bool) -> None:
    async with staged(tmp_path, cap_s=180, cap_reason="") as stage:
        while now() < 3000:
            await asyncio.sleep(20)
            if is_spoken:
                said_by_avatar(stage)
        assert stage.service.ended_by_itself == ["c1", "c2"]


async def test_f8_the_next_agent_knows_the_cap(tmp_path: Path) -> None:
    at = "2026-03-01T11:00:00+00:00"
    (tmp_path / "caps.json").write_text(json.dumps({"account": {"seconds": 180.0, "at": at}}))
    async with staged(tmp_path, cap_s=180) as stage:
        await until(1000)
        assert stage.service.ended_by_itself == []


async def test_f8_what_is_renewed_often_is_not_renewed_all_the_time(tmp_path: Path) -> None:
    policy = AvatarPolicy(max_duration_s=120, renew_before_s=3600)
    async with staged(tmp_path, policy=policy) as stage:
        await until(600)
        assert len(stage.service.invitations) <= 11


async def test_renewals_do_not_hide_that_nothing_is_said(tmp_path: Path) -> None:
    policy = replace(POLICY, silent_timeout_s=600)
    async with staged(tmp_path, policy=policy) as stage:
        await until(601)
        asked = len(stage.service.invitations)
        assert stage.sink.state == "resting"
        await until(4000)
        assert len(stage.service.invitations) == asked


async def test_avatars_that_leave_do_not_hide_that_nothing_is_said(tmp_path: Path) -> None:
    policy = AvatarPolicy(silent_timeout_s=600)
    async with staged(tmp_path, policy=policy, cap_s=100, cap_reason="error") as stage:
        await until(4000)
        assert len(stage.service.invitations) <= 7


async def test_nobody_who_watches_is_no_reason_to_renew(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY) as stage:
        await until(50)
        stage.room.leave("viewer")
        await until(3000)
        assert (len(stage.service.invitations), stage.sink.state) == (1, "not watched")


async def test_a_refusal_in_the_middle_of_a_renewal_is_a_refusal(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=POLICY) as stage:
        await ready(stage)
        stage.service.play(refusal(402, is_permanent=False))
        await until(60.5)
        assert (stage.sink.state, stage.service.ends) == ("402", ["c1"])
        await until(62 + READY_S)
        assert stage.sink.state == "ready"


async def test_a_create_that_hangs_in_a_renewal_is_cancelled_without_a_trace(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=OVERLAPPING, doubts=1) as stage:
        await ready(stage)
        stage.service.play(ScriptedCreate(after_s=15))
        await until(65)
        stage.running.cancel()
        await asyncio.wait([stage.running])
        assert stage.service.ends == ["c1"]
