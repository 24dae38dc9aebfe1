"""Who is who in a room, as far as the LiveKit server vouches for it."""

from __future__ import annotations

from livekit import rtc

from libacli.core.protocol import AGENT_ATTRIBUTE, EPOCH_ATTRIBUTE


def is_agent(participant: rtc.RemoteParticipant) -> bool:
    """Whether its token says that it is an agent; avatars are, too."""
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def epoch_of_agent(participant: rtc.RemoteParticipant | None, agent_name: str | None) -> str:
    """The epoch of a liba agent of that name (None: of any), which others tell nothing in the name of.

    Empty: it is none. An avatar, and an agent of another make, is none either: the attributes are the agent's
    own, and who has a token that liba made for it cannot set them.
    """
    if participant is None or not is_agent(participant):
        return ""
    name = participant.attributes.get(AGENT_ATTRIBUTE, "")
    is_named = name == agent_name if agent_name is not None else bool(name)
    return participant.attributes.get(EPOCH_ATTRIBUTE, "") if is_named else ""
