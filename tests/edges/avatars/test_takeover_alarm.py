from __future__ import annotations

import pytest

from libacli.edges.avatars.takeover_alarm import TakeoverAlarm, is_own_avatar
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from tests.edges.avatars.stage import avatar_of


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom("studio")


async def test_somebody_who_joins_as_the_avatar_is_told(
    room: FakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    TakeoverAlarm(room.as_sdk()).guard("avatar")
    room.join("avatar", is_agent=True)
    assert "TAKEOVER: somebody joined room studio as the avatar, avatar" in caplog.text


async def test_the_avatar_itself_is_no_alarm(room: FakeRoom, caplog: pytest.LogCaptureFixture) -> None:
    TakeoverAlarm(room.as_sdk()).guard("avatar")
    room.join(avatar_of(room, "avatar"))
    assert caplog.text == ""


async def test_an_identity_that_was_given_to_no_avatar_is_anybodys(
    room: FakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    TakeoverAlarm(room.as_sdk()).guard("avatar")
    room.join("avatar-2", is_agent=True)
    room.join("viewer")
    assert caplog.text == ""


async def test_an_avatar_is_ours_by_its_kind_and_whom_it_speaks_for(room: FakeRoom) -> None:
    ours = avatar_of(room, "avatar")
    viewer = FakeParticipant("avatar", attributes=ours.attributes)
    of_another = FakeParticipant("avatar", kind=ours.kind, attributes={"lk.publish_on_behalf": "agent-2"})
    nobodys = FakeParticipant("avatar", kind=ours.kind)
    found = []
    for participant in (ours, viewer, of_another, nobodys):
        room.join(participant)
        found.append(is_own_avatar(room.as_sdk(), room.as_sdk().remote_participants["avatar"]))
    assert found == [True, False, False, False]
