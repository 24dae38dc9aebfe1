from __future__ import annotations

from libacli.edges.avatars.viewers import is_watched
from libacli.edges.livekit.fakes import FakeRoom
from tests.edges.avatars.stage import avatar_of


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
