"""A viewer's place in a room: a participant of our own that hears and sees the agents there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.encryption import EncryptionWatch
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import AudioCapture, Listener
from libacli.edges.viewer.video_watcher import VideoCapture, VideoWatcher


@dataclass(frozen=True)
class Captured:
    """What was heard and seen there since a moment."""

    sound: AudioCapture
    picture: VideoCapture


@dataclass(frozen=True)
class Seat:
    """What a viewer of a room has."""

    room: rtc.Room
    listener: Listener
    video: VideoWatcher

    def capture(self) -> Captured:
        """Forgets what was heard and seen so far, and begins anew."""
        return Captured(self.listener.start_capture(), self.video.start_capture())


@asynccontextmanager
async def seated(
    credentials: LiveKitCredentials, *, room: str, identity: str, agent_name: str
) -> AsyncIterator[Seat]:
    """Joins `room` as `identity`, listens, watches and takes that agent's events until the context ends.

    Raises UnreachableError or CredentialsError. When listening or watching breaks, the context is ended with
    that error: what was heard from then on would be less than there was.
    """
    there, key = rtc.Room(), credentials.e2ee_key
    encryption = EncryptionWatch(there, has_key=key is not None)
    seat = Seat(there, Listener(there, agent_name=agent_name), VideoWatcher(there))
    token = listener_token(credentials, room=room, identity=identity)
    async with (
        joined(there, credentials.ws_url, token, e2ee_key=key),
        in_background(seat.listener.run(), seat.video.run()),
    ):
        try:
            yield seat
        finally:
            await encryption.look()
