"""Rooms and people of every kind of name."""

from __future__ import annotations

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token

pytestmark = pytest.mark.live

NAMES = [
    "../../etc/passwd",
    "'single\" and \"double'",
    "100%20",
    "😀",
    "שלום",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "-dash",
    '{"room": "demo"}',
    "demo#room=other&code=1?x=y",
    "n" * 128,
]


async def test_rooms_and_people_of_every_name_are_told_apart(credentials: LiveKitCredentials) -> None:
    async with LiveKitApi(credentials) as api:
        for number, name in enumerate(NAMES):
            identity = f"{name[:100]} {number}"
            token = join_token(credentials, room=name, identity=identity, permissions=Permissions())
            async with joined(rtc.Room(), credentials.ws_url, token) as there:
                assert (there.name, there.local_participant.identity) == (name, identity)
                assert [one.identity for one in await api.participants(name)] == [identity]
                assert [row.name for row in await api.rooms([name])] == [name]
        assert {row.name for row in await api.rooms()} >= set(NAMES)
