"""Whether anybody watches: an avatar costs money, and is there for viewers alone."""

from livekit import rtc

from libacli.edges.livekit.participants import is_agent


def is_watched(room: rtc.Room) -> bool:
    """Whether somebody is in the room who is no agent, as its token says; who is hidden does not count."""
    return any(not is_agent(participant) for participant in room.remote_participants.values())
