"""What the tools answer, as it is described to the model. No spoken text is in any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.core.event import Report
from libacli.core.route import route_word

_STATES = (
    "`accepted`: it waits; `speaking`; `audible`: people hear it; `done`; `interrupted`, `failed`, "
    "`expired`: it ended before its end; `unconfirmed`: spoken, but nobody confirmed its end; "
    "`sent`: nothing more is known; `lost`: its agent is gone"
)


class Utterance(BaseModel):
    """One text, and what has become of it."""

    id: str = Field(description="For `status`, and for `stop`")
    room: str
    state: str = Field(description=_STATES)
    position: int | None = Field(default=None, description="How many were spoken before it, when it came")
    paused: bool | None = Field(default=None, description="The queue is paused: nothing begins meanwhile")
    reason: str | None = Field(default=None, description="Why it ended before its end")
    route: str | None = Field(
        default=None, description="`tavus`: the avatar says it; `fallback`: a voice without a face"
    )
    route_reason: str | None = Field(default=None, description="Why it is not the avatar")
    voice: str | None = None
    speech_s: float | None = Field(
        default=None, description="Seconds from its first to its last sound so far"
    )

    @classmethod
    def of_delivery(cls, room: str, said: Delivery) -> Utterance:
        """What its sender knows of it."""
        known = said.acknowledgement
        return cls.of_report(
            room,
            said.id,
            {"state": said.level} | dict(said.report or {}),
            position=known.position if known else None,
            paused=said.is_paused or None,
        )

    @classmethod
    def of_report(
        cls,
        room: str,
        utterance_id: str,
        report: Mapping[str, Any],
        *,
        position: int | None = None,
        paused: bool | None = None,
    ) -> Utterance:
        """What the agent knows of it, in words for outside."""
        words = {name: str(report[name]) for name in _WORDS if report.get(name)}
        speech_ms = report.get("speech_ms")
        return cls(
            id=utterance_id,
            room=room,
            position=position,
            paused=paused,
            speech_s=round(speech_ms / 1000, 2) if isinstance(speech_ms, int | float) else None,
            **words,
        )


_WORDS = ("state", "reason", "route", "route_reason", "voice")


class Stopped(BaseModel):
    """What `stop` ended."""

    room: str
    stopped: list[str] = Field(description="Ids of what was spoken and of what waited")


class Line(BaseModel):
    """One utterance in the queue."""

    id: str
    state: str
    characters: int
    route: str | None = None

    @classmethod
    def of(cls, report: Report) -> Line:
        route = str(route_word(report.route)) if report.route else None
        return cls(id=report.id, state=report.state, characters=report.chars, route=route)


class Cap(BaseModel):
    """What may be spent."""

    name: str
    used: float
    limit: float
    unit: str


class Queue(BaseModel):
    """What an agent speaks and what waits."""

    room: str
    has_agent: bool = Field(description="False: nobody is there; `say` brings one")
    avatar: str | None = Field(default=None, description="`ready`, or the reason why not")
    paused: bool = Field(default=False, description="Nothing begins until somebody resumes the queue")
    speaking: Line | None = None
    waiting: list[Line] = Field(default=[], description="Next one first")
    waiting_left_out: int = Field(default=0, description="How many more wait behind those")
    caps: list[Cap] = Field(default=[], description="What may be spent, and what is used up")

    @classmethod
    def of(cls, room: str, status: AgentStatus | None) -> Queue:
        if status is None:
            return cls(room=room, has_agent=False)
        return cls(
            room=room,
            has_agent=True,
            avatar=status.facts.avatar or None,
            paused=status.facts.paused,
            speaking=Line.of(status.speaking) if status.speaking else None,
            waiting=[Line.of(report) for report in status.waiting],
            waiting_left_out=status.waiting_left_out,
            caps=[Cap(name=cap.name, used=cap.used, limit=cap.limit, unit=cap.unit) for cap in status.caps],
        )


class Voices(BaseModel):
    """Who can speak."""

    voices: list[str] = Field(description="For `voice` of `say`, the usual one first; others may exist")
