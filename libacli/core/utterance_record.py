"""What is kept of one finished utterance: no spoken text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from libacli.core.asked import Asked
from libacli.core.event import REPORT_READERS, AgentFacts, Event, Report
from libacli.core.lifecycle import OUTCOMES, State
from libacli.core.members import Reader, read_amount, read_count, read_members, read_state, read_text
from libacli.core.route import RouteName, route_word
from libacli.errors import RefusedError


@dataclass(frozen=True)
class UtteranceRecord:
    """One utterance that has ended, as its agent saw it. Durations are None where an end was not reached."""

    id: str
    t0: float
    """When the request came: POSIX seconds of the agent's clock. Durations come from its monotonic one."""

    outcome: State
    """One of `OUTCOMES`."""

    reason: str = ""
    """Why it was not `done`."""

    room: str = ""
    agent: str = ""
    """The name that the agent is dispatched by."""

    epoch: str = ""
    """Which life of the agent."""

    route: RouteName | None = None
    """None if it came to no sound."""

    route_reason: str = ""
    voice: str = ""
    model: str = ""
    provider: str = ""
    """Whose voice it was, as in the setting `voice.providers`."""

    voice_reason: str = ""
    """Why it was not the voice that is asked first."""

    reworded: bool = False
    hedged: bool = False
    cached: bool = False
    chars: int = 0
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
    """It was said again, as the agent before this one died in the middle of it."""

    waited: float | None = None
    d01: float | None = None
    d12: float | None = None
    d2a: float | None = None
    d23: float | None = None
    total: float | None = None
    account: str = ""
    """Who asked for it; see `Asked`, as for the two that follow."""

    asked_chars: int = 0
    asked_ms: float = 0.0

    @classmethod
    def of(cls, event: Event) -> UtteranceRecord:
        """Of an utterance that has ended."""
        facts, report = event.facts, event.report
        if report.state not in OUTCOMES:
            raise ValueError(f"{report.state} is no end of an utterance")
        told = {name: getattr(facts, name) for name in _FACTS} | {
            name: getattr(report, name) for name in _REPORTED
        }
        return cls(report.id, event.t0, report.state, **told, **_asked_of(event))

    def event(self) -> Event:
        """The event that it was made of, as far as it was kept."""
        facts = AgentFacts(self.room, self.agent, self.model, epoch=self.epoch)
        kept = {name: getattr(self, name) for name in _REPORTED}
        asked = Asked(self.account, self.asked_chars, self.asked_ms)
        return Event(facts, Report(self.id, self.outcome, **kept), self.t0, asked=asked)

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> UtteranceRecord:
        """What `encode` gave; members that are not known are left out. Raises RefusedError."""
        known = read_members(members, _RECORD)
        if not known.get("id") or "t0" not in known or known.get("outcome") not in OUTCOMES:
            raise RefusedError("malformed", "it is no record of an utterance that has ended")
        return cls(**known)

    def encode(self) -> dict[str, Any]:
        """All members, by name."""
        return asdict(self) | {"route": route_word(self.route)}


def members_of(event: Event) -> dict[str, Any]:
    """What `UtteranceRecord.encode` would give, of an utterance on its way; its outcome is its state."""
    facts, report = event.facts, event.report
    told = {name: getattr(facts, name) for name in _FACTS} | {
        name: getattr(report, name) for name in _REPORTED
    }
    known = {"id": report.id, "t0": event.t0, "outcome": report.state, **told, **_asked_of(event)}
    return {name: known[name] for name in _RECORD} | {"route": route_word(report.route)}


def _asked_of(event: Event) -> dict[str, Any]:
    asked = event.asked
    return {"account": asked.account, "asked_chars": asked.chars, "asked_ms": asked.ms}


_FACTS = ("room", "agent", "epoch", "model")
_REPORTED = tuple(name for name in REPORT_READERS if name not in ("id", "state", "emotion", "standby"))
"""Members of a report that a record has, too."""

_RECORD: Mapping[str, Reader] = {
    **dict.fromkeys(("id", "room", "agent", "epoch", "model"), read_text),
    "t0": read_amount,
    "outcome": read_state,
    **{name: REPORT_READERS[name] for name in _REPORTED},
    "account": read_text,
    "asked_chars": read_count,
    "asked_ms": read_amount,
}
