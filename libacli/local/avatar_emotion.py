"""What Tavus's agent tells an avatar's face to show, by data packets."""

from __future__ import annotations

import json

from libacli.core.emotion import EMOTIONS, NEUTRAL, Emotion
from libacli.edges.avatars.vendors import SET_EMOTION


def read_emotion(packet: bytes) -> Emotion | None:
    """The emotion in a packet; None for one that is about something else.

    One that is not supported is `neutral`, as livekit-plugins-tavus says of `set_emotion`.
    """
    try:
        message = json.loads(packet)
        if message["event_type"] != SET_EMOTION:
            return None
        told = message["properties"]["emotion"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return next((emotion for emotion in EMOTIONS if emotion == told), NEUTRAL)
