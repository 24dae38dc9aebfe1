"""The track sink in a real room, with a real subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_MS, frames_of, is_audible
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.audience import Audience
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.edges.sinks.track import TrackSink
from libacli.speech.fakes import tone
from tests.clicks import clicks, hearing, most, sound
from tests.contracts import SinkContract
from tests.live.conftest import Listen

pytestmark = pytest.mark.live


@asynccontextmanager
async def track_in(credentials: LiveKitCredentials, room: str) -> AsyncIterator[TrackSink]:
    token = join_token(credentials, room=room, identity="speaker", permissions=Permissions(can_publish=True))
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        sink = TrackSink(there, reason="not configured")
        await sink.open()
        yield sink
        await sink.aclose()


class TestTrackSink(SinkContract):
    SLACK_S = 3.0  # a busy machine

    @pytest.fixture
    async def sink(
        self, credentials: LiveKitCredentials, room: str, listen: Listen
    ) -> AsyncIterator[TrackSink]:
        async with listen(), track_in(credentials, room) as sink:
            yield sink


async def test_fault_40_a_line_that_nobody_is_there_to_hear_ends_when_its_sound_does(
    credentials: LiveKitCredentials, room: str
) -> None:
    async with track_in(credentials, room) as sink:
        for _ in range(2):
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            await sink.start(lambda: None)
            for _ in range(100):
                async with asyncio.timeout(60):
                    await sink.write(tone(FRAME_MS))
            playback = await sink.finish()
            assert 1.9 < loop.time() - began_at < 6.0  # a busy machine may be late
            assert playback.source == "observed"


async def test_it_waits_until_somebody_takes_its_sound_and_not_for_ever(
    credentials: LiveKitCredentials, room: str, listen: Listen
) -> None:
    loop = asyncio.get_running_loop()
    async with track_in(credentials, room) as sink:
        began_at = loop.time()
        await sink.subscribed(within_s=0.3)
        assert 0.3 <= loop.time() - began_at < 6.0
        async with listen(), asyncio.timeout(60):
            await sink.subscribed(within_s=60)


async def test_first_word_waits_until_a_viewer_who_subscribes_late_and_by_himself_hears_it(
    credentials: LiveKitCredentials, room: str
) -> None:
    viewer = rtc.Room()
    token = join_token(credentials, room=room, identity="viewer", permissions=Permissions())
    speaker = join_token(
        credentials, room=room, identity="speaker", permissions=Permissions(can_publish=True)
    )
    loop = asyncio.get_running_loop()

    def subscribe() -> None:
        for participant in viewer.remote_participants.values():
            for publication in participant.track_publications.values():
                publication.set_subscribed(True)

    async with (
        joined(rtc.Room(), credentials.ws_url, speaker) as there,
        LiveKitApi(credentials) as api,
        joined(viewer, credentials.ws_url, token, auto_subscribe=False),
    ):
        sink = TrackSink(there, reason="not configured")
        await sink.open()
        audience = Audience(there, sink, api)
        began_at = loop.time()
        await audience.ready(within_s=2)
        assert not sink.is_taken and loop.time() - began_at >= 2
        await audience.ready(within_s=60)  # he was waited for
        again = Audience(there, sink, api)
        loop.call_later(0.5, subscribe)
        began_at = loop.time()
        await again.ready(within_s=60)
        assert sink.is_taken and 0.5 <= loop.time() - began_at < 20
        await sink.aclose()


async def test_a_viewer_hears_no_click_when_a_line_is_stopped(
    credentials: LiveKitCredentials, room: str
) -> None:
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
    viewer, clicked = rtc.Room(), []
    viewer.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    token = join_token(credentials, room=room, identity="viewer", permissions=Permissions())
    async with joined(viewer, credentials.ws_url, token), track_in(credentials, room) as sink:
        track = await tracks.get()
        for number in range(7):
            async with hearing(track) as heard:
                await sink.start(lambda: None)
                for frame in frames_of(sound(0.8)):
                    await sink.write(frame)
                await asyncio.sleep(0.303 + 0.011 * number)
                await sink.clear()
                await asyncio.sleep(0.5)
            assert is_audible(bytes(heard))
            clicked.append(clicks(bytes(heard)))
    assert not most(clicked)
