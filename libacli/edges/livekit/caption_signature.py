"""What a caption is believed by: the server lets every agent, avatars too, send texts in another's name."""

from __future__ import annotations

from collections.abc import Callable

from libacli.config import LiveKitCredentials
from libacli.core.protocol import CAPTION_TOPIC
from libacli.edges.livekit.captions import CaptionSegment, Check
from libacli.edges.livekit.tokens import sign_request, verify_request


def sign_caption(
    credentials: LiveKitCredentials, *, room: str, agent: str, segment_id: str, text: str
) -> str:
    """The signature of `agent`, an identity, for what a segment of its speech says; valid for a minute."""
    body = {"id": segment_id, "text": text}
    return sign_request(credentials, room=room, method=CAPTION_TOPIC, body=body, agent=agent)


def check_caption(
    credentials: LiveKitCredentials,
    signature: str,
    *,
    room: str,
    agent: str,
    segment_id: str,
    text: str,
    previous: LiveKitCredentials | None = None,
) -> None:
    """Raises RefusedError unless the agent of that identity says just this, in this room, now.

    `previous` is a key that is accepted too.
    """
    body = {"id": segment_id, "text": text}
    verify_request(
        credentials, signature, room=room, method=CAPTION_TOPIC, body=body, agent=agent, previous=previous
    )


def caption_check(
    credentials: LiveKitCredentials,
    room: Callable[[], str],
    *,
    previous: LiveKitCredentials | None = None,
) -> Check:
    """The same for whom captions are read by, in the room of that name; see `CaptionReader`."""

    def check(identity: str, segment: CaptionSegment, signature: str) -> None:
        check_caption(
            credentials,
            signature,
            room=room(),
            agent=identity,
            segment_id=segment.id,
            text=segment.text,
            previous=previous,
        )

    return check
