"""Sends a sound to the agent of a room: a server's call carries 15 KiB, so somebody has to join for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.protocol import SIGNATURE_ATTRIBUTE, SOUND_TOPIC
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.sound_streams import ID_ATTRIBUTE, SHA256_ATTRIBUTE, announced
from libacli.edges.livekit.tokens import sender_token, sign_request
from libacli.errors import TimedOutError, UnreachableError

_PIECE_BYTES = 64 * 1024
_PIECE_TIMEOUT_S = 20.0
"""For the SDK to take a piece: slower than 3 KB a second is no way for sound."""

Send = Callable[[str, str, str, bytes], Awaitable[None]]
"""Sends to the agent of that identity, for the utterance of that id, the sound of that SHA-256."""


class OpenSender(Protocol):
    """How somebody joins who can send."""

    def __call__(
        self, credentials: LiveKitCredentials, *, room: str, on_behalf: str
    ) -> AbstractAsyncContextManager[Send]: ...


@asynccontextmanager
async def sound_sender(
    credentials: LiveKitCredentials, *, room: str, on_behalf: str = ""
) -> AsyncIterator[Send]:
    """A participant that nobody sees, who can send as long as the context lasts.

    What it has sent may still be on its way then: it is to stay until the agent has it. Raises what `joined`
    raises; sending raises UnreachableError, TimedOutError.
    """
    identity = f"liba-sender-{os.urandom(4).hex()}"
    token = sender_token(credentials, room=room, identity=identity)

    async def send(agent: str, utterance_id: str, sha256: str, data: bytes) -> None:
        body = announced(utterance_id, sha256, len(data))
        auth = sign_request(
            credentials, room=room, method=SOUND_TOPIC, body=body, agent=agent, on_behalf=on_behalf
        )
        attributes = {SIGNATURE_ATTRIBUTE: auth, ID_ATTRIBUTE: utterance_id, SHA256_ATTRIBUTE: sha256}
        await _send(there, agent, attributes, data)

    there = rtc.Room()
    async with joined(there, credentials.ws_url, token, auto_subscribe=False):
        yield send


async def _send(room: rtc.Room, agent: str, attributes: dict[str, str], data: bytes) -> None:
    try:
        writer = await room.local_participant.stream_bytes(
            "sound.flac",
            total_size=len(data),
            mime_type="audio/flac",
            topic=SOUND_TOPIC,
            attributes=attributes,
            destination_identities=[agent],
        )
        for start in range(0, len(data), _PIECE_BYTES):
            async with asyncio.timeout(_PIECE_TIMEOUT_S):
                await writer.write(data[start : start + _PIECE_BYTES])
        await writer.aclose()
    except TimeoutError as error:
        raise TimedOutError(
            f"the sound was not sent: LiveKit took nothing for {_PIECE_TIMEOUT_S:g} s",
            hint="check the network",
        ) from error
    except Exception as error:  # the SDK has one class per call
        raise UnreachableError(f"the sound was not sent: {error}", hint="check the network") from error
