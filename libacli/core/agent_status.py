"""What an agent answers when it is asked what it speaks and what waits. No spoken text is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from libacli.core.event import AgentFacts, Report
from libacli.core.members import (
    Reader,
    read_count,
    read_members,
    read_number,
    read_text,
)
from libacli.core.usage import Usage
from libacli.errors import RefusedError

_USAGE: Mapping[str, Reader] = {
    "name": read_text,
    "used": read_number,
    "limit": read_number,
    "unit": read_text,
    "resets_in_s": read_number,
}


@dataclass(frozen=True)
class AgentStatus:
    """An agent's answer to what it speaks and what waits."""

    facts: AgentFacts
    speaking: Report | None = None
    waiting: tuple[Report, ...] = ()
    """Next one first."""

    caps: tuple[Usage, ...] = ()
    """What may be spent, and what is used up."""

    waiting_left_out: int = 0
    """How many more wait behind those: an answer holds only so much."""

    unreadable: int = 0
    """Reports in it that nobody understands."""

    ended: tuple[Report, ...] = ()
    """Those that ended last, where they were asked for; the newest one last."""

    worker: str = ""
    """The machine that it runs on, for the owner alone; empty: not told."""

    def encode(self) -> dict[str, Any]:
        members: dict[str, Any] = {
            **self.facts.encode(),
            "speaking": self.speaking.encode() if self.speaking else None,
            "waiting": [report.encode() for report in self.waiting],
            "caps": [asdict(cap) for cap in self.caps],
        }
        if self.worker:
            members["worker"] = self.worker
        if self.waiting_left_out:
            members["waiting_left_out"] = self.waiting_left_out
        if self.ended:
            members["ended"] = [report.encode() for report in self.ended]
        return members

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> AgentStatus:
        """Raises RefusedError; not for a single report, which is left out and counted."""
        speaking, unreadable = _reports([members.get("speaking")])
        waiting, more_unreadable = _reports(members.get("waiting"))
        ended, of_ended_unreadable = _reports(members.get("ended"))
        return cls(
            AgentFacts.read(members),
            next(iter(speaking), None),
            waiting,
            _caps(members.get("caps")),
            read_count("waiting_left_out", members.get("waiting_left_out", 0)),
            unreadable + more_unreadable + of_ended_unreadable,
            ended,
            read_text("worker", members.get("worker", "")),
        )

    def within(self, max_bytes: int) -> AgentStatus:
        """The same, with as many of those that wait, from the next one on, as fit into so much JSON, and as
        many of those that have ended, from the newest one on, as fit besides."""
        now = replace(self, ended=())._with_those_that_fit(max_bytes)
        used = len(json.dumps(now.encode())) + len(', "ended": []')
        for number, report in enumerate(reversed(self.ended)):
            used += len(json.dumps(report.encode())) + len(", ")
            if used > max_bytes:
                return replace(now, ended=self.ended[len(self.ended) - number :])
        return replace(now, ended=self.ended)

    def _with_those_that_fit(self, max_bytes: int) -> AgentStatus:
        left_out = self.waiting_left_out + len(self.waiting)
        used = len(json.dumps(replace(self, waiting=(), waiting_left_out=left_out).encode()))
        for number, report in enumerate(self.waiting):
            used += len(json.dumps(report.encode())) + len(", ")
            if used > max_bytes:
                left_out = self.waiting_left_out + len(self.waiting) - number
                return replace(self, waiting=self.waiting[:number], waiting_left_out=left_out)
        return self


def _reports(told: object) -> tuple[tuple[Report, ...], int]:
    """Those that can be read, and how many cannot."""
    reports, unreadable = [], 0
    for members in told if isinstance(told, list) else []:
        if isinstance(members, dict):
            try:
                reports.append(Report.read(members))
            except RefusedError:
                unreadable += 1
    return tuple(reports), unreadable


def _caps(told: object) -> tuple[Usage, ...]:
    """Those that are whole. Raises RefusedError."""
    caps = [cap for cap in told if isinstance(cap, dict)] if isinstance(told, list) else []
    return tuple(Usage(**read_members(cap, _USAGE)) for cap in caps if cap.keys() >= _USAGE.keys())
