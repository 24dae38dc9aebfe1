"""The track sink in a real room, with a real subscriber."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.edges.joining import joined
from libacli.edges.tokens import Permissions, join_token
from libacli.edges.track_sink import TrackSink
from tests.contracts import SinkContract
from tests.live.conftest import Listen

pytestmark = pytest.mark.live


class TestTrackSink(SinkContract):
    @pytest.fixture
    async def sink(
        self, credentials: LiveKitCredentials, room: str, listen: Listen
    ) -> AsyncIterator[TrackSink]:
        token = join_token(
            credentials, room=room, identity="speaker", permissions=Permissions(can_publish=True)
        )
        async with listen(), joined(rtc.Room(), credentials.ws_url, token) as there:
            sink = TrackSink(there, reason="not configured")
            await sink.open()
            yield sink
            await sink.aclose()
