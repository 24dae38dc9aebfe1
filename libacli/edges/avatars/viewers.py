"""Whether anybody watches: an avatar costs money, and is there for viewers alone."""

from livekit import rtc


def is_watched(room: rtc.Room) -> bool:
    """Whether somebody is in the room who is no agent, as its token says; who is hidden does not count."""
    agent = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    return any(participant.kind != agent for participant in room.remote_participants.values())
