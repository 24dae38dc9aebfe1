from __future__ import annotations

import pytest
from livekit import rtc

from libacli.edges.avatars.viewers import is_heard, is_watched
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from tests.edges.avatars.stage import avatar_of

KINDS = rtc.ParticipantKind
SEEN_AND_HEARD = {KINDS.PARTICIPANT_KIND_STANDARD: (True, True)}
HEARD = dict.fromkeys([KINDS.PARTICIPANT_KIND_SIP, KINDS.PARTICIPANT_KIND_CONNECTOR], (False, True))
NO_PERSON = dict.fromkeys(
    [
        KINDS.PARTICIPANT_KIND_AGENT,
        KINDS.PARTICIPANT_KIND_EGRESS,
        KINDS.PARTICIPANT_KIND_INGRESS,
        KINDS.PARTICIPANT_KIND_BRIDGE,
    ],
    (False, False),
)


async def test_agents_and_avatars_are_no_viewers() -> None:
    room = FakeRoom()
    assert not is_watched(room.as_sdk())
    room.join("agent-2", is_agent=True)
    room.join(avatar_of(room, "avatar"))
    assert not is_watched(room.as_sdk())
    room.join("viewer")
    assert is_watched(room.as_sdk())
    room.leave("viewer")
    assert not is_watched(room.as_sdk())


@pytest.mark.parametrize(("kind", "expected"), (SEEN_AND_HEARD | HEARD | NO_PERSON).items())
async def test_who_is_no_person_does_not_watch_and_who_calls_by_phone_only_hears(
    kind: rtc.ParticipantKind.ValueType, expected: tuple[bool, bool]
) -> None:
    room = FakeRoom()
    room.join(FakeParticipant("EG_1", kind=kind))
    assert (is_watched(room.as_sdk()), is_heard(room.as_sdk())) == expected


async def test_what_a_future_server_calls_its_participants_watches_nothing() -> None:
    room = FakeRoom()
    room.join(FakeParticipant("new", kind=99))  # type: ignore[arg-type]
    assert not is_watched(room.as_sdk())


async def test_a_recorder_that_is_shown_by_mistake_is_no_viewer() -> None:
    room = FakeRoom()
    room.join(FakeParticipant("recorder", hidden=True))
    assert not is_watched(room.as_sdk())
    assert not is_heard(room.as_sdk())
