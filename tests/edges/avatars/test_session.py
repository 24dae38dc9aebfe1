from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from libacli.core.event import AgentFacts, Event, Report
from libacli.edges.avatars.fakes import ScriptedCreate, lost_answer, refusal
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.errors import AvatarError, LibaError
from tests.edges.avatars.stage import CREDENTIALS, NOON, SUBSCRIBED_S, Stage, staged

READY_S = 1.0 + SUBSCRIBED_S + 0.1
"""Until the avatar is there: it joins after a second."""


async def ready(stage: Stage) -> None:
    await asyncio.sleep(READY_S)
    assert stage.sink.state == "ready"


async def test_an_avatar_is_asked_for_only_while_somebody_watches(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.room.join("agent-2", is_agent=True)
        await asyncio.sleep(3600)
        assert (stage.sink.state, stage.service.invitations) == ("not watched", [])
        stage.room.join("viewer")
        await ready(stage)
        assert len(stage.service.invitations) == 1


async def test_an_avatar_is_spoken_through_when_viewers_have_its_picture(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await asyncio.sleep(1.0)
        assert stage.sink.state == "not ready"
        assert await stage.sink.gate() == ""
        assert asyncio.get_running_loop().time() == pytest.approx(1.0 + SUBSCRIBED_S)
        assert (await stage.sink.start(lambda: None)).target == stage.service.vendor.identity
        await stage.sink.clear()


@pytest.mark.parametrize("took_s", [0.05, 1.0, 1.9])
async def test_an_avatar_is_spoken_through_when_its_sound_comes_where_tracks_take_their_time(
    tmp_path: Path, took_s: float
) -> None:
    async with staged(tmp_path) as stage:
        stage.room.subscribe_s = took_s
        await asyncio.sleep(0.5)
        assert await stage.sink.gate() == ""
        assert asyncio.get_running_loop().time() == pytest.approx(1.0 + took_s + SUBSCRIBED_S)


async def test_an_avatar_without_sound_until_its_first_word_is_waited_for_two_seconds(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.has_audio = False
        await asyncio.sleep(0.5)
        assert await stage.sink.gate() == ""
        assert asyncio.get_running_loop().time() == pytest.approx(1.0 + 2.0 + SUBSCRIBED_S)


@pytest.mark.parametrize("after_s", [0.1, 0.4, 2.4])
async def test_an_avatar_that_goes_before_it_is_spoken_through_is_called_back(
    tmp_path: Path, after_s: float
) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.has_audio = after_s < 1  # without sound it is waited for 2 s longer
        await asyncio.sleep(1.0 + after_s)
        stage.room.leave(stage.service.vendor.identity)
        stage.avatars.has_audio = True
        assert await stage.states(8.0) == ["not ready", "left", "not ready", "ready"]
        assert (len(stage.service.invitations), len(stage.service.running)) == (2, 1)


async def test_an_invitation_is_for_this_room_and_bounded(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=AvatarPolicy(max_duration_s=240)) as stage:
        await ready(stage)
        (invitation,) = stage.service.invitations
    assert (invitation.room_url, invitation.max_duration_s) == (CREDENTIALS.ws_url, 240)
    assert invitation.identity == stage.service.vendor.identity
    assert not invitation.is_trial


async def test_a_conversation_is_noted_down_before_it_is_asked_for_and_then_with_its_id(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        ((before,),) = stage.service.noted
        (after,) = await stage.entries()
        (invitation,) = stage.service.invitations
    assert (before.name, before.id, before.room) == (invitation.name, "", "room")
    assert (before.vendor, before.base_url) == ("fake", stage.service.base_url)
    assert (after.name, after.id) == (invitation.name, "c1")


async def test_nothing_is_asked_for_that_cannot_be_noted_down(tmp_path: Path) -> None:
    (tmp_path / "conversations").write_text("a file where a folder should be")
    async with staged(tmp_path) as stage:
        await asyncio.sleep(1)
        assert stage.sink.state == "not available"
        assert stage.service.invitations == []


async def test_one_that_never_joins_is_ended_and_another_is_asked_for(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.joins = False
        await asyncio.sleep(44.9)
        assert (stage.service.ends, stage.sink.state) == ([], "not ready")
        await asyncio.sleep(0.2)
        assert (stage.service.ends, stage.sink.state) == (["c1"], "never joined")
        stage.avatars.joins = True
        await asyncio.sleep(1.8)
        assert len(stage.service.invitations) == 1
        await asyncio.sleep(0.2)
        await ready(stage)
        assert len(stage.service.invitations) == 2


async def test_one_without_a_picture_has_not_joined(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.has_video = False
        await asyncio.sleep(45.1)
        assert stage.sink.state == "never joined"


async def test_somebody_with_the_avatars_identity_is_not_the_avatar(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.joins = False
        await asyncio.sleep(0.5)
        stage.room.join(stage.service.vendor.identity, is_agent=True)
        await asyncio.sleep(45)
        assert stage.sink.state == "never joined"
    assert "TAKEOVER" in caplog.text


async def test_a_taken_identity_is_left_to_its_holder(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        identity = stage.service.vendor.identity
        stage.room.join(identity, is_agent=True)
        stage.room.join("viewer")
        await ready(stage)
        (invitation,) = stage.service.invitations
        assert invitation.identity.startswith(f"{identity}-")


async def test_fault_46_a_refusal_for_good_is_the_last_word(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(refusal(401, is_permanent=True))
        stage.room.join("viewer")
        await asyncio.sleep(1)
        assert (stage.sink.state, stage.running.done()) == ("401", True)
        await asyncio.sleep(3600)
        assert (len(stage.service.invitations), stage.service.ends) == (1, [])


async def test_fault_47_what_may_pass_is_tried_again_later_and_later(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(*[refusal(429, is_permanent=False)] * 7)
        stage.room.join("viewer")
        asked: list[int] = []
        for pause_s in (2, 4, 8, 16, 32, 60, 60):
            await asyncio.sleep(pause_s - 0.1)
            asked.append(len(stage.service.invitations))
            assert stage.sink.state == "429"
            await asyncio.sleep(0.1)
        assert asked == [1, 2, 3, 4, 5, 6, 7]
        await ready(stage)
        assert stage.service.ends == []


@pytest.mark.parametrize("create", [lost_answer(), refusal(500, is_permanent=False)])
async def test_fault_02_what_may_have_been_begun_is_looked_for_and_ended(
    tmp_path: Path, create: ScriptedCreate
) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(create)
        stage.room.join("viewer")
        await asyncio.sleep(0.1)
        assert stage.sink.state == create.error.reason if create.error else False
        assert stage.service.running == {}
        assert stage.service.ends == (["c1"] if create.is_begun else [])
        await asyncio.sleep(2)
        await ready(stage)
        first, second = stage.service.invitations
        assert first.name != second.name
        await asyncio.sleep(120)
        assert [entry.name for entry in await stage.entries()] == [second.name]


OVERLAPPING = AvatarPolicy(max_duration_s=120, renew_before_s=60, may_overlap=True)


async def test_an_avatar_is_renewed_without_a_gap_where_two_may_be_there(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=OVERLAPPING) as stage:
        await ready(stage)
        first = (await stage.sink.start(lambda: None)).target
        await stage.sink.clear()
        states = await stage.states(60)
        assert states == ["ready"]
        assert len(stage.service.invitations) == 2
        assert stage.service.ends == ["c1"]
        second = (await stage.sink.start(lambda: None)).target
        await stage.sink.clear()
    assert first != second == stage.service.invitations[1].identity


async def test_the_older_one_stays_until_the_newer_one_is_there_and_nothing_is_spoken(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=OVERLAPPING) as stage:
        await ready(stage)
        await asyncio.sleep(60 - READY_S + 0.5)
        assert len(stage.service.invitations) == 2
        await stage.sink.start(lambda: None)
        await asyncio.sleep(10)
        assert stage.service.ends == []
        await stage.sink.clear()
        await asyncio.sleep(0.1)
        assert stage.service.ends == ["c1"]


async def test_fault_10_an_avatar_that_nobody_watches_is_ended_after_a_while(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.leave("viewer")
        await asyncio.sleep(119.9)
        assert (stage.sink.state, stage.service.ends) == ("ready", [])
        await asyncio.sleep(0.2)
        assert (stage.sink.state, stage.service.ends) == ("not watched", ["c1"])
        await asyncio.sleep(3600)
        assert len(stage.service.invitations) == 1
        stage.room.join("viewer")
        await ready(stage)
        assert len(stage.service.invitations) == 2


async def test_an_avatar_stays_for_a_viewer_who_comes_back_in_time(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.leave("viewer")
        await asyncio.sleep(100)
        stage.room.join("viewer")
        await asyncio.sleep(300)
        assert (stage.sink.state, stage.service.ends) == ("ready", [])


async def test_what_is_spoken_to_nobody_is_spoken_to_its_end(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        await stage.sink.start(lambda: None)
        stage.room.leave("viewer")
        await asyncio.sleep(200)
        assert stage.service.ends == []
        await stage.sink.clear()
        await asyncio.sleep(0.1)
        assert stage.service.ends == ["c1"]


async def test_an_avatar_that_leaves_is_ended_and_another_one_comes(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.leave(stage.service.vendor.identity)
        await asyncio.sleep(0.1)
        assert (stage.sink.state, stage.service.ends) == ("left", ["c1"])
        await asyncio.sleep(2)
        await ready(stage)
        assert len(stage.service.invitations) == 2


async def test_fault_09_the_avatar_is_ended_when_the_minutes_of_the_day_are_used_up(tmp_path: Path) -> None:
    async with staged(tmp_path, max_minutes=5) as stage:
        await ready(stage)
        await asyncio.sleep(5 * 60 - READY_S - 0.1)
        assert (stage.sink.state, stage.service.ends) == ("ready", [])
        await asyncio.sleep(0.2)
        assert (stage.sink.state, stage.service.ends) == ("spend cap", ["c1"])
        await asyncio.sleep(12 * 3600 - 5 * 60 - 1)
        assert len(stage.service.invitations) == 1
        await asyncio.sleep(60)  # past midnight
        assert (stage.sink.state, len(stage.service.invitations)) == ("ready", 2)


async def test_what_others_have_used_up_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "minutes.json").write_text('{"day": "2026-03-01", "seconds": 300}')
    async with staged(tmp_path, max_minutes=5) as stage:
        await asyncio.sleep(60)
        assert (stage.sink.state, stage.service.invitations) == ("spend cap", [])


async def test_each_conversation_counts_from_its_request_to_its_end(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        assert stage.session.seconds == pytest.approx(READY_S)
        stage.room.leave("viewer")
        await asyncio.sleep(600)
        assert stage.session.seconds == pytest.approx(READY_S + 120)


@pytest.mark.parametrize(
    ("create", "ends"),
    [
        (ScriptedCreate(after_s=10), []),
        (ScriptedCreate(answers_after_s=10), ["c1"]),
    ],
    ids=["before it was begun", "after it was begun"],
)
async def test_a_request_that_is_cancelled_leaves_nothing_running(
    tmp_path: Path, create: ScriptedCreate, ends: list[str]
) -> None:
    async with staged(tmp_path, is_watched=False, doubts=0 if ends else 1) as stage:
        stage.service.play(create)
        stage.room.join("viewer")
        await asyncio.sleep(5)
        stage.running.cancel()
        await asyncio.wait([stage.running])
        assert (stage.running.cancelled(), stage.service.ends) == (True, ends)
        assert len(await stage.entries()) == (
            0 if ends else 1
        )  # it may yet begin: whoever reaps looks for it


@pytest.mark.parametrize("after_s", [0.1, 0.5, 1.2, 2.0, 60.0, 60.5, 61.2, 61.5, 100.0])
@pytest.mark.parametrize("may_overlap", [False, True])
async def test_whenever_it_is_cancelled_each_conversation_is_ended_once(
    tmp_path: Path, after_s: float, may_overlap: bool
) -> None:
    policy = replace(OVERLAPPING, may_overlap=may_overlap)
    async with staged(tmp_path, policy=policy) as stage:
        await asyncio.sleep(after_s)
        stage.running.cancel()
        await asyncio.wait([stage.running])
        assert len(stage.service.ends) == len(stage.service.invitations)
        assert stage.service.running == {}


async def test_an_avatar_that_does_not_go_when_it_is_ended_is_put_out(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.goes = False
        await ready(stage)
        stage.room.leave("viewer")
        await asyncio.sleep(120.1)
        assert stage.service.ends == ["c1"]
        assert stage.avatars.removed == [stage.service.vendor.identity]


async def test_an_avatar_that_goes_by_itself_is_not_put_out(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.leave("viewer")
        await asyncio.sleep(120.1)
        assert (stage.service.ends, stage.avatars.removed) == (["c1"], [])


@pytest.mark.parametrize("failure", [LibaError("away"), TimeoutError()], ids=["away", "no answer"])
async def test_an_avatar_that_cannot_be_put_out_is_told_and_the_next_one_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    async with staged(tmp_path) as stage:
        stage.avatars.goes, stage.avatars.failure = False, failure
        await ready(stage)
        stage.room.leave("viewer")
        await asyncio.sleep(120.1)
        stage.room.join("viewer")
        await asyncio.sleep(2.1)
        await ready(stage)
        assert len(stage.service.invitations) == 2
    assert "was not put out" in caplog.text


async def test_f2_an_invitation_is_for_entering_soon_and_narrow(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=AvatarPolicy(join_timeout_s=20, max_duration_s=3600)) as stage:
        await ready(stage)
        (invitation,) = stage.service.invitations
    claims = jwt.decode(invitation.token, options={"verify_signature": False})
    assert (
        claims["exp"] - claims["nbf"] == 15 + 20 + 30
    )  # until it is answered, to join, and clocks that differ
    assert claims["video"] == {
        "roomJoin": True,
        "room": "room",
        "canSubscribe": False,
        "canPublish": True,
        "canPublishSources": ["camera", "microphone"],
        "canPublishData": True,
        "canUpdateOwnMetadata": False,
    }


SAID = Event(AgentFacts("room", "liba", epoch="e1"), Report("u1", "accepted"), t0=1.0)


async def test_who_comes_and_goes_ten_times_without_a_word_costs_one_avatar(tmp_path: Path) -> None:
    for visit in range(10):  # the room closes when it is empty, and another agent comes with the next viewer
        async with staged(tmp_path, max_minutes=240) as stage:
            await asyncio.sleep(1.1)
            stage.room.leave("viewer")
            await asyncio.sleep(20)
            stage.running.cancel()
            await asyncio.wait([stage.running])
            asked = len(stage.service.invitations)
        assert asked == (1 if visit == 0 else 0)


async def test_an_agent_that_is_started_anew_while_somebody_watches_has_its_avatar_at_once(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        async with staged(tmp_path, max_minutes=240) as stage:
            await ready(stage)
            stage.running.cancel()
            await asyncio.wait([stage.running])


async def test_a_room_that_was_silent_gets_its_avatar_with_the_next_line_or_after_an_hour(
    tmp_path: Path,
) -> None:
    at = NOON - timedelta(minutes=1)
    noted = {"day": "2026-03-01", "seconds": 21.0, "rooms": {"room": 21.0}, "silent": {"room": str(at)}}
    (tmp_path / "minutes.json").write_text(json.dumps(noted))
    async with staged(tmp_path, max_minutes=240) as stage:
        await asyncio.sleep(60)
        assert stage.service.invitations == []
        stage.session.demand.take_event(SAID)
        await ready(stage)
    noted["silent"] = {"room": str(NOON - timedelta(hours=1))}
    (tmp_path / "minutes.json").write_text(json.dumps(noted))
    async with staged(tmp_path, max_minutes=240) as stage:
        await ready(stage)


async def test_an_avatar_that_is_only_watched_rests_and_comes_back_with_the_next_line(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=AvatarPolicy(silent_timeout_s=900)) as stage:
        await asyncio.sleep(600)
        stage.session.demand.take_event(SAID)
        await asyncio.sleep(899)
        assert stage.service.ends == []
        await asyncio.sleep(2)
        assert (stage.service.ends, stage.sink.state) == (["c1"], "resting")
        await asyncio.sleep(24 * 3600)
        assert len(stage.service.invitations) == 1
        stage.session.demand.take_event(SAID)
        await ready(stage)


async def test_an_avatar_may_be_kept_for_the_first_line(tmp_path: Path) -> None:
    async with staged(tmp_path, policy=AvatarPolicy(waits_for_line=True)) as stage:
        await asyncio.sleep(3600)
        assert (stage.service.invitations, stage.sink.state) == ([], "resting")
        stage.session.demand.take_event(SAID)
        await ready(stage)


async def test_a_line_brings_no_avatar_when_nobody_watches(tmp_path: Path) -> None:
    policy = AvatarPolicy(waits_for_line=True)
    async with staged(tmp_path, policy=policy, is_watched=False) as stage:
        stage.session.demand.take_event(SAID)
        await asyncio.sleep(3600)
        assert stage.service.invitations == []


async def test_a_room_at_its_share_leaves_the_others_theirs(tmp_path: Path) -> None:
    async with staged(tmp_path, max_minutes=10, max_minutes_per_room=4) as stage:
        await asyncio.sleep(4 * 60 + 1)
        assert (stage.sink.state, stage.service.ends) == ("spend cap", ["c1"])
        other = AvatarMinutes(
            tmp_path / "minutes.json",
            max_minutes=10,
            max_minutes_per_room=4,
            room="other",
            clock=lambda: NOON,
        )
        await other.count(0)
        assert other.left_s == 4 * 60


async def test_an_end_that_fails_is_tried_again_before_the_next_one_begins(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.service.fail_ends(AvatarError("500", status=500, is_permanent=False))
        stage.room.leave(stage.service.vendor.identity)
        await asyncio.sleep(0.1)
        assert (stage.service.failed_ends, stage.service.ends) == (["c1"], ["c1"])
        assert await stage.entries() == []


@pytest.mark.parametrize("base_url", ["http://203.0.113.1", "https://avatars.invalid"])
async def test_fault_11_a_service_elsewhere_is_not_asked_into_a_private_room(
    tmp_path: Path, base_url: str
) -> None:
    async with staged(tmp_path, base_url=base_url) as stage:
        await asyncio.sleep(3600)
        assert not stage.running.done()
        assert (stage.sink.state, stage.service.invitations) == ("livekit not public", [])
