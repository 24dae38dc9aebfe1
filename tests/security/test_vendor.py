"""Who holds the avatar's token: what it lets him do besides being the avatar, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import SAMPLE_RATE
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from tests.faulty_avatar import Script
from tests.live.conftest import Listen
from tests.live.test_spending import KeptAvatar, keeping_avatar

pytestmark = pytest.mark.live


@asynccontextmanager
async def instead_of_the_avatar(kept: KeptAvatar, credentials: LiveKitCredentials) -> AsyncIterator[rtc.Room]:
    """Goes in with the token that the service was given, shows a picture, and stays."""
    await kept.until(lambda: bool(kept.tavus.bodies))
    token = kept.tavus.bodies[0]["properties"]["livekit_room_token"]
    async with joined(rtc.Room(), credentials.ws_url, token) as room:
        track = rtc.LocalVideoTrack.create_video_track("picture", rtc.VideoSource(64, 64))
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        await room.local_participant.publish_track(track, options)
        yield room


async def test_an_avatar_that_goes_on_after_its_end_is_out_of_the_room_within_five_seconds(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with keeping_avatar(credentials, room, tmp_path, max_minutes=0, idle_s=1.0) as kept:
        kept.tavus.play(Script(joins=False))
        async with AsyncExitStack() as watching:
            await watching.enter_async_context(listen())
            async with instead_of_the_avatar(kept, credentials) as vendor:
                removed = asyncio.get_running_loop().create_future()
                vendor.on("disconnected", removed.set_result)
                await kept.until(lambda: kept.sink.state == "ready")
                await watching.aclose()
                await kept.until(lambda: bool(kept.tavus.ends))
                async with asyncio.timeout(5):
                    assert await removed == rtc.DisconnectReason.PARTICIPANT_REMOVED


async def test_an_avatar_gets_no_sound_and_no_picture_of_viewers(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with keeping_avatar(credentials, room, tmp_path, max_minutes=0) as kept:
        kept.tavus.play(Script(joins=False))
        guest = join_token(
            credentials, room=room, identity="guest", permissions=Permissions(can_publish=True)
        )
        async with (
            listen(),
            joined(rtc.Room(), credentials.ws_url, guest) as speaking,
            aclosing(rtc.AudioSource(SAMPLE_RATE, 1)) as source,
        ):
            microphone = rtc.LocalAudioTrack.create_audio_track("microphone", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await speaking.local_participant.publish_track(microphone, options)
            async with instead_of_the_avatar(kept, credentials) as vendor:
                await kept.until(lambda: kept.sink.state == "ready")
                for publication in vendor.remote_participants["guest"].track_publications.values():
                    publication.set_subscribed(True)
                await asyncio.sleep(2)
                tracks = vendor.remote_participants["guest"].track_publications.values()
                assert [publication.track for publication in tracks] == [None] * len(tracks)
