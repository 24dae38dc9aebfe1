"""A LiveKit server on which nobody who comes makes a room: `room.auto_create: false`."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit import rtc

from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.errors import NoAgentError
from tests.live.node import Node

pytestmark = pytest.mark.live


async def test_auto_create_off_an_agent_is_sent_into_a_room_that_is_made_for_it(tmp_path: Path) -> None:
    with Node(tmp_path, room={"auto_create": False}) as node:
        token = join_token(node.credentials, room="new one", identity="ann", permissions=Permissions())
        with pytest.raises(NoAgentError, match="no such room") as told:
            async with joined(rtc.Room(), node.credentials.url, token):
                pytest.fail("there was a room")
        assert "liba say" in told.value.hint
        async with LiveKitApi(node.credentials) as api:
            assert await api.dispatch("new one", "liba")
            assert [row.name for row in await api.rooms()] == ["new one"]
        async with joined(rtc.Room(), node.credentials.url, token) as there:
            assert there.name == "new one"
