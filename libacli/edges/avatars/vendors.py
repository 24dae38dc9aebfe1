"""The vendors of avatars that liba knows."""

import json

from libacli.edges.avatars.port import AvatarVendor, Expressions
from libacli.edges.livekit.tokens import AVATAR_IDENTITIES

TAVUS_TOPIC = "app_messages"
SET_EMOTION = "conversation.set_emotion"


def tavus_emotion(emotion: str) -> str:
    """As `AvatarSession.set_emotion` of livekit-plugins-tavus 1.8.9 sends it, on `TAVUS_TOPIC`."""
    properties = {"emotion": emotion}
    return json.dumps({"message_type": "conversation", "event_type": SET_EMOTION, "properties": properties})


TAVUS = AvatarVendor(
    name="tavus",
    title="Tavus",
    identity=AVATAR_IDENTITIES["tavus"],
    sample_rate=24_000,  # the rate that Tavus's plugin for livekit-agents sends
    key_variable="TAVUS_API_KEY",
    url_variable="TAVUS_BASE_URL",
    expressions=Expressions(TAVUS_TOPIC, tavus_emotion),
    accepted="the key, the face and the pal",
    refusals={
        400: ("does not accept this face or pal", "check TAVUS_FACE_ID and TAVUS_PAL_ID"),
        401: ("refuses the key", "check TAVUS_API_KEY, and that it belongs to TAVUS_BASE_URL"),
        402: ("has no credit left on this account", "add credit to the Tavus account"),
        403: ("does not allow this key to do it", "check what TAVUS_API_KEY may do"),
        404: (
            "does not know this face or pal, or this address",
            "check TAVUS_FACE_ID, TAVUS_PAL_ID, TAVUS_BASE_URL",
        ),
    },
)

LOCAL_KEY_PREFIX = "local-"
"""How a key begins that `liba avatar run` has made for itself: what takes it costs nothing."""
