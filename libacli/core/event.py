"""What an agent tells of itself and of its utterances. No spoken text is in any of it.

Members are called outside as they are here; only routes have other words there, see `route`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from libacli.core.asked import NOTHING_ASKED, Asked
from libacli.core.lifecycle import State
from libacli.core.members import (
    Reader,
    read_amount,
    read_count,
    read_flag,
    read_members,
    read_number,
    read_route,
    read_state,
    read_text,
)
from libacli.core.route import RouteName, route_word
from libacli.core.timeline import DURATIONS
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.errors import RefusedError


@dataclass(frozen=True)
class AgentFacts:
    """What an agent says of itself with everything that it tells."""

    room: str = ""
    agent: str = ""
    """The name that it is dispatched by."""

    model: str = ""
    """Model of the voice: of an utterance that which speaks it, else that which would speak now."""

    avatar: str = ""
    """`ready`, or the reason why not."""

    queue: int = 0
    """Utterances that wait."""

    epoch: str = ""
    """Which life of the agent: another one after it was started anew; its queue is gone then, unless there
    is a journal."""

    voice_state: str = ""
    """Why it is not the voice that is asked first; empty when it is."""

    paused: bool = False
    """Nothing begins until the queue is resumed."""

    encryption: str = ""
    """`encrypted`: sound and picture are, from end to end; with why they cannot be read; empty: not."""

    def encode(self) -> dict[str, Any]:
        members = {"epoch": self.epoch, **asdict(self)}
        for name in ("voice_state", "paused", "encryption"):
            if not members[name]:
                del members[name]
        return members

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> AgentFacts:
        """Raises RefusedError."""
        return cls(**read_members(members, _FACTS))


@dataclass(frozen=True)
class Report:
    """One utterance at one moment. Durations are in milliseconds, None where an end is not reached."""

    id: str
    state: State
    reason: str = ""
    """Why it was interrupted, failed or went unconfirmed."""

    route: RouteName | None = None
    """None as long as it is not chosen."""

    route_reason: str = ""
    """Why it is not the avatar."""

    voice: str = ""
    """Name of the speaker."""

    provider: str = ""
    """Whose voice it was, as in the setting `voice.providers`."""

    voice_reason: str = ""
    """Why it was not the voice that is asked first."""

    reworded: bool = False
    """The voice used other words, as far as it knows itself."""

    hedged: bool = False
    """For a part of it a second request to the voice was the quicker one."""

    cached: bool = False
    """It was spoken before, and kept: the voice was not asked."""

    emotion: str = ""
    """What the avatar's face is to show with it; empty: nothing was asked for."""

    standby: bool = False
    """It waits for its go-ahead."""

    chunks: int = 0
    frames: int = 0
    """20 ms frames that the sink took, the silence at the end included."""

    speech_ms: float = 0.0
    """From the first to the last sound in them."""

    hold: float = 0.0
    """For how long the first sound was held back, to have the rest follow without a break; part of `d12`."""

    underruns: int = 0
    t3_source: str = ""
    """`reported`, `observed` or `estimated`."""

    replayed: bool = False
    resumed: bool = False
    """It is said again from its beginning, as the agent before this one died in the middle of it."""

    chars: int = 0
    waited: float | None = None
    d01: float | None = None
    d12: float | None = None
    d2a: float | None = None
    d23: float | None = None
    total: float | None = None

    def encode(self) -> dict[str, Any]:
        """What is not known is left out."""
        members = asdict(self) | {"route": route_word(self.route)}
        return {
            name: value
            for name, value in members.items()
            if value or (name in DURATIONS and value is not None)
        }

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Report:
        """Raises RefusedError."""
        known = read_members(members, REPORT_READERS)
        if not known.get("id") or "state" not in known:
            raise RefusedError("malformed", "it has no id, or no state")
        return cls(**known)


@dataclass(frozen=True)
class Event:
    """What has just become of an utterance."""

    facts: AgentFacts
    report: Report
    t0: float
    """When its request came: POSIX seconds of the agent's clock. 0: that was not told."""

    trace: TraceContext = UNTRACED
    """Where the caller has it in a trace of his own: for meters, the room is not told."""

    asked: Asked = NOTHING_ASKED
    """What it has cost, for meters too."""

    def encode(self) -> dict[str, Any]:
        return {**self.facts.encode(), "t0": self.t0, **self.report.encode()}

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Event:
        """Raises RefusedError."""
        t0 = read_amount("t0", members.get("t0"))
        return cls(AgentFacts.read(members), Report.read(members), t0)


@dataclass(frozen=True)
class Rejection:
    """A request was not taken."""

    facts: AgentFacts
    reason: str
    """The word for machines, see `reasons`."""

    message: str = ""
    id: str = ""
    """That of the request, where it had one: it may be the id of another one that was taken."""

    retry_in_s: float | None = None
    """When it will fit."""

    def encode(self) -> dict[str, Any]:
        return {"state": "rejected", **self.facts.encode(), **self.answer()}

    def answer(self) -> dict[str, Any]:
        """What the sender gets."""
        return {
            "epoch": self.facts.epoch,
            **({"id": self.id} if self.id else {}),
            "rejected": self.reason,
            "message": self.message,
            **({} if self.retry_in_s is None else {"retry_in_s": self.retry_in_s}),
        }

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Rejection:
        """Raises RefusedError."""
        known = read_members(members, _REJECTION)
        reason = known.pop("rejected", "")
        return cls(AgentFacts.read(members), reason, **known)


@dataclass(frozen=True)
class QueueNews:
    """The queue itself has changed, and no utterance: whoever wants to know its order asks for the status."""

    facts: AgentFacts
    change: str
    """A `QueueChange`, or a word that another version knows."""

    def encode(self) -> dict[str, Any]:
        return {"queue_change": self.change, **self.facts.encode()}

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> QueueNews:
        """Raises RefusedError."""
        return cls(AgentFacts.read(members), read_text("queue_change", members.get("queue_change")))


_FACTS: Mapping[str, Reader] = {
    **dict.fromkeys(("room", "agent", "model", "voice_state", "avatar", "encryption"), read_text),
    "queue": read_count,
    "epoch": read_text,
    "paused": read_flag,
}
REPORT_READERS: Mapping[str, Reader] = {
    "id": read_text,
    "state": read_state,
    "reason": read_text,
    "route": read_route,
    "route_reason": read_text,
    **dict.fromkeys(("voice", "provider", "voice_reason"), read_text),
    **dict.fromkeys(("reworded", "hedged", "cached"), read_flag),
    "emotion": read_text,
    "standby": read_flag,
    "chunks": read_count,
    "frames": read_count,
    "speech_ms": read_amount,
    "hold": read_amount,
    "underruns": read_count,
    "t3_source": read_text,
    **dict.fromkeys(("replayed", "resumed"), read_flag),
    "chars": read_count,
    **dict.fromkeys(DURATIONS, read_amount),
}
"""Members of a report."""

_REJECTION: Mapping[str, Reader] = {
    "rejected": read_text,
    "message": read_text,
    "id": read_text,
    "retry_in_s": read_number,
}


def read_event(members: Mapping[str, Any]) -> Event | Rejection | QueueNews:
    """What an agent told everybody in its room. Raises RefusedError."""
    if "queue_change" in members:
        return QueueNews.read(members)
    return Rejection.read(members) if members.get("state") == "rejected" else Event.read(members)
