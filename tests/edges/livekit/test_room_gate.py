from __future__ import annotations

import pytest

from libacli.edges.livekit.fakes import FakeRoom
from libacli.edges.livekit.room_gate import putting_out
from libacli.errors import UnreachableError
from tests.twirp_server import TwirpServer, twirp_error


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_who_floods_is_put_out_over_the_servers_api() -> None:
    with TwirpServer() as server:
        await putting_out(server.credentials, FakeRoom("demo").as_sdk())("mallory")
        (asked,) = server.asked("RemoveParticipant")
    assert asked.body == {"room": "demo", "identity": "mallory"}
    assert asked.grants["video"] == {"roomAdmin": True, "room": "demo"}


async def test_one_who_has_left_is_out_and_a_server_that_fails_is_an_error() -> None:
    with TwirpServer() as server:
        put_out = putting_out(server.credentials, FakeRoom("demo").as_sdk())
        server.play("RemoveParticipant", twirp_error(404, "not_found", "participant does not exist"))
        await put_out("mallory")
        server.play("RemoveParticipant", twirp_error(500, "internal", "broken"))
        with pytest.raises(UnreachableError):
            await put_out("mallory")
