"""What somebody who follows a room is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from libacli.core.agent_status import AgentStatus
from libacli.core.event import Event, Rejection


@dataclass(frozen=True)
class Unreadable:
    """An agent told something that nobody understands."""


@dataclass(frozen=True)
class NoAgent:
    """There is no agent, or none that answers."""


@dataclass(frozen=True)
class Caption:
    """What an utterance says."""

    utterance_id: str
    text: str


@dataclass(frozen=True)
class CaptionPart:
    """What an utterance says with one breath, when that begins to be heard, and when it is over."""

    utterance_id: str
    number: int
    text: str
    """What it is going to say; once it is over, what it has said."""

    offset_ms: int | None
    """How much sound is between the utterance's first sound and it; None: it was not told."""

    is_over: bool = False


@dataclass(frozen=True)
class ConnectionState:
    """How our connection is, in words."""

    words: str
    """Empty: it is well."""


WELL = ConnectionState("")
RECONNECTING = ConnectionState("reconnecting…")

RoomUpdate: TypeAlias = (
    Event | Rejection | Unreadable | AgentStatus | NoAgent | Caption | CaptionPart | ConnectionState
)
