"""What was begun and is not known: it is found, ended, and its face put out of the room."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from livekit import rtc

from libacli.edges.avatars.fakes import ScriptedCreate
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.tokens import ON_BEHALF_ATTRIBUTE
from libacli.errors import AvatarError
from tests.edges.avatars.stage import SUBSCRIBED_S, Stage, avatar_of, now, staged

READY_S = 1.0 + SUBSCRIBED_S + 0.1
NO_ANSWER = AvatarError("no answer", is_permanent=False, is_unsure=True)
FAILS = AvatarError("500", status=500, is_permanent=False, is_unsure=True)


def late(begins_after_s: float) -> ScriptedCreate:
    """Nobody waits for its answer any more when it is begun."""
    return ScriptedCreate(is_begun=False, begins_after_s=begins_after_s, answers_after_s=15, error=NO_ANSWER)


def face(room: FakeRoom, identity: str, on_behalf_of: str) -> FakeParticipant:
    return FakeParticipant(
        identity,
        kind=rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
        attributes={ON_BEHALF_ATTRIBUTE: on_behalf_of},
    )


async def ready(stage: Stage) -> None:
    await asyncio.sleep(READY_S)
    assert stage.sink.state == "ready"


@pytest.mark.parametrize(("begins_after_s", "found_at_s"), [(16, 30), (20, 30), (31, 120), (119, 120)])
async def test_f13_a_create_that_is_carried_out_when_nobody_waits_any_more_is_found_and_ended(
    tmp_path: Path, begins_after_s: float, found_at_s: float
) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(late(begins_after_s))
        stage.room.join("viewer")
        await asyncio.sleep(15 + 2 + READY_S)
        assert (stage.sink.state, len(await stage.entries())) == ("ready", 2)
        await asyncio.sleep(found_at_s - now() - 0.1)
        assert stage.service.ends == []
        await asyncio.sleep(0.2)
        assert stage.service.ends == ["c1"]
        assert len(await stage.entries()) == 1
        assert stage.session.seconds == pytest.approx(found_at_s + (now() - 17), abs=0.2)  # it has cost, too


async def test_f13_one_that_never_begins_is_crossed_out_after_the_last_look(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(ScriptedCreate(is_begun=False, error=NO_ANSWER))
        stage.room.join("viewer")
        await asyncio.sleep(119)
        assert len(await stage.entries()) == 2
        await asyncio.sleep(2)
        assert len(await stage.entries()) == 1


async def test_f13_a_service_that_cannot_be_asked_is_asked_until_it_can(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(late(20))
        stage.service.fail_finds(*[FAILS] * 4)
        stage.room.join("viewer")
        await asyncio.sleep(700)
        assert stage.service.ends == []
        await asyncio.sleep(30)
        assert stage.service.ends == ["c1"]


async def test_f13_one_that_could_not_be_ended_is_tried_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.service.fail_ends(FAILS, FAILS)
        stage.room.leave(stage.service.vendor.identity)
        await asyncio.sleep(5)
        assert stage.service.ends == []
        await asyncio.sleep(30)
        assert stage.service.ends == ["c1"]


async def test_f13_the_face_of_a_conversation_that_nobody_waited_for_is_put_out(tmp_path: Path) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.service.play(late(20))
        stage.room.join("viewer")
        await asyncio.sleep(15 + 2 + READY_S)
        await asyncio.sleep(21.1 - now())
        first, second = stage.service.invitations
        assert stage.avatars.removed == [first.identity]
        assert second.identity in stage.room.remote_participants
        assert stage.sink.state == "ready"
        await asyncio.sleep(10)
        assert stage.service.ends == ["c1"]


async def test_f13_a_face_that_speaks_for_the_agent_and_was_not_asked_for_is_put_out(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.join(avatar_of(stage.room, "tavus-avatar-agent-ghost"))
        await asyncio.sleep(0.1)
        assert stage.avatars.removed == ["tavus-avatar-agent-ghost"]


@pytest.mark.parametrize(
    ("on_behalf_of", "removed"),
    [
        ("liba-agent-gone", ["face"]),
        ("liba-agent-here", []),
        ("somebody-elses-agent", []),
        ("", []),
    ],
)
async def test_f13_a_face_whose_agent_was_killed_is_put_out_before_a_new_one_is_asked_for(
    tmp_path: Path, on_behalf_of: str, removed: list[str]
) -> None:
    async with staged(tmp_path, is_watched=False) as stage:
        stage.room.join("liba-agent-here", is_agent=True)
        stage.room.join(face(stage.room, "face", on_behalf_of))
        stage.room.join("viewer")
        await ready(stage)
        assert stage.avatars.removed == removed


async def test_f13_people_and_other_agents_are_left_alone(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await ready(stage)
        stage.room.join("agent-2", is_agent=True)
        stage.room.join("another viewer")
        await asyncio.sleep(100)
        assert stage.avatars.removed == []
