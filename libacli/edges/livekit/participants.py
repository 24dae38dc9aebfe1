"""Who is who in a room, as far as the LiveKit server vouches for it."""

from __future__ import annotations

from livekit import rtc


def is_agent(participant: rtc.RemoteParticipant) -> bool:
    """Whether its token says that it is an agent; avatars are, too."""
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
