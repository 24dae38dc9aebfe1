"""Whether anybody watches: an avatar costs money, and is there for viewers alone."""

from livekit import rtc

from libacli.edges.livekit.participants import is_listener, is_viewer


def is_watched(room: rtc.Room) -> bool:
    """Whether somebody is in the room who may see an avatar."""
    return any(is_viewer(participant) for participant in room.remote_participants.values())


def is_heard(room: rtc.Room) -> bool:
    """Whether somebody is in the room who may hear it: phone callers, too."""
    return any(is_listener(participant) for participant in room.remote_participants.values())
