"""Avatars that do nothing are paid for three times at most, whatever it is that they do not do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libacli.core.event import AgentFacts, Event, Report
from libacli.edges.avatars.fakes import ScriptedCreate, lost_answer, refusal
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.errors import AvatarError
from tests.edges.avatars.stage import SUBSCRIBED_S, Stage, now, staged

READY_S = 1.0 + SUBSCRIBED_S + 0.1
LOUD = b"\x00\x40" * 240
"""10 ms of sound."""

NO_CREDIT = AvatarError("402", status=402, said="out of credits", is_permanent=False, retry_in_s=720)


def said_by_avatar(stage: Stage) -> None:
    report = Report("u1", "done", route="avatar")
    stage.session.demand.take_event(Event(AgentFacts("room", "liba", epoch="e1"), report, t0=1.0))


async def test_f11_three_that_never_join_are_the_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.avatars.joins = False
        stage.room.join("viewer")
        await asyncio.sleep(24 * 3600)
        assert (len(stage.service.invitations), stage.service.ends) == (3, ["c1", "c2", "c3"])
        assert (stage.sink.state, stage.running.done()) == ("never joined", True)
    assert "3 in a row were paid for and did nothing (the last one: never joined)" in caplog.text
    assert "liba doctor" in caplog.text


async def test_f11_where_the_pal_is_wrong_one_is_the_last_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, policy=AvatarPolicy(silent_timeout_s=0)) as stage:
        stage.avatars.joins = False
        stage.service.pal_misfit = "the pal p1 joins no LiveKit room: its pipeline_mode is 'full', not 'echo'"
        await asyncio.sleep(24 * 3600)
        assert (len(stage.service.invitations), stage.service.ends) == (1, ["c1"])
        assert "its pipeline_mode is 'full', not 'echo' - liba avatar create-pal" in caplog.text
        stage.avatars.joins, stage.service.pal_misfit = True, ""
        await asyncio.sleep(900 + READY_S)
        assert stage.sink.state == "ready"


async def test_f11_an_avatar_is_given_45_seconds_to_join(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.join_after_s = 44.5
        await asyncio.sleep(44.5 + READY_S)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 1)


@pytest.mark.parametrize("trouble", ["stalled", "no finish"])
async def test_three_that_do_not_do_their_part_are_the_last(tmp_path: Path, trouble: str) -> None:
    async with staged(tmp_path) as stage:
        for _ in range(5):
            await asyncio.sleep(100)
            if stage.sink.state == "ready":
                stage.sink._give_up(trouble)
        assert len(stage.service.invitations) == 3
        assert stage.sink.state == trouble


async def test_three_that_leave_at_once_are_the_last(tmp_path: Path) -> None:
    async with staged(tmp_path, cap_s=10, cap_reason="internal error") as stage:
        await asyncio.sleep(3600)
        assert (len(stage.service.invitations), stage.sink.state) == (3, "left")


async def test_an_avatar_through_which_something_was_said_makes_up_for_those_before(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for _ in range(10):
            await asyncio.sleep(50)
            said_by_avatar(stage)
            stage.sink._give_up("stalled")
        assert len(stage.service.invitations) >= 10
        await asyncio.sleep(10)
        assert stage.sink.state == "ready"


async def test_what_a_viewers_leaving_ends_is_no_failure(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for _ in range(5):  # the service has left with the viewer, though it was asked to stay
            await asyncio.sleep(10)
            stage.room.leave("viewer")
            for identity in list(stage.room.remote_participants):
                stage.room.leave(identity)
            await asyncio.sleep(10)
            assert stage.sink.state == "not watched"
            stage.room.join("viewer")
        await asyncio.sleep(READY_S)
        assert stage.sink.state == "ready"


async def test_f10_an_account_without_credit_is_asked_again_until_it_has_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(*[ScriptedCreate(error=NO_CREDIT, is_begun=False)] * 3)
        stage.room.join("viewer")
        await asyncio.sleep(1)
        assert stage.sink.state == "402"
        await asyncio.sleep(720 - 2)
        assert len(stage.service.invitations) == 1
        await asyncio.sleep(2 * 720 + READY_S + 2)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 4)
    assert "402 (out of credits); next try in 720 s" in caplog.text


async def test_f10_a_generic_400_is_tried_again_and_then_works(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(refusal(400, is_permanent=False))
        stage.room.join("viewer")
        await asyncio.sleep(2 + READY_S)
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 2)


async def test_f13_a_service_that_never_answers_is_asked_three_times_and_then_seldom(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(*[lost_answer()] * 20)
        stage.room.join("viewer")
        await asyncio.sleep(700)
        assert len(stage.service.invitations) == 3
        assert len(stage.service.ends) == 3
        assert now() == pytest.approx(700)


async def test_f12_a_greeting_that_nobody_asked_for_is_told_and_over_before_the_first_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path) as stage:
        await asyncio.sleep(0.9)
        identity = stage.service.invitations[0].identity
        for _ in range(300):  # three seconds of it, from when it joins on
            await asyncio.sleep(0.01)
            stage.sink._on_pcm(LOUD, identity)
        assert stage.sink.state == "not ready"
        await asyncio.sleep(1)
        assert stage.sink.state == "ready"
    assert "says what nobody sent" in caplog.text
    assert "liba avatar create-pal" in caplog.text
