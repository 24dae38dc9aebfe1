"""Who is who in a room, as far as the LiveKit server vouches for it."""

from __future__ import annotations

from livekit import rtc

from libacli.core.protocol import AGENT_ATTRIBUTE, EPOCH_ATTRIBUTE

_CALLERS = (
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)


def is_agent(participant: rtc.RemoteParticipant) -> bool:
    """Whether its token says that it is an agent; avatars are, too."""
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def is_viewer(participant: rtc.RemoteParticipant) -> bool:
    """Whether a person may be looking: who joined with an ordinary token, and in the open.

    Recorders, imported streams, agents and bridges are no people. A phone caller (SIP, or a connector of
    voice calls) is one, but hears only: that needs no picture, and the agent's own track has the sound.
    """
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD and not _is_hidden(participant)


def is_listener(participant: rtc.RemoteParticipant) -> bool:
    """Whether a person may be hearing: a viewer, or a phone caller."""
    return is_viewer(participant) or participant.kind in _CALLERS


def shown(participant: rtc.Participant) -> str:
    """How a log names it. The identity of a phone caller holds his number, which is nobody's business."""
    return "a phone caller" if participant.kind in _CALLERS else repr(participant.identity)


def _is_hidden(participant: rtc.RemoteParticipant) -> bool:
    # The server tells of no hidden one, except by mistake: https://github.com/livekit/livekit/issues/1178
    return participant.permissions.hidden


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


def sound_of(room: rtc.Room, identity: str) -> str:
    """The server's name of the sound that this participant publishes; empty: of none."""
    participant = room.remote_participants.get(identity)
    publications = participant.track_publications.values() if participant else ()
    return next((one.sid for one in publications if one.kind == rtc.TrackKind.KIND_AUDIO), "")
