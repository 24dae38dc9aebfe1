"""What `liba queue` prints: the agent, its caps, what it speaks and what waits."""

from __future__ import annotations

import math

from libacli.cli.output import output
from libacli.core.event import AgentStatus, Report
from libacli.core.route import route_word
from libacli.core.usage import Usage


def show_queue(status: AgentStatus) -> None:
    """Prints what an agent says of itself and its queue."""
    facts, speaking = status.facts, status.speaking
    output.result(f"agent     {facts.agent} in room {facts.room}, epoch {facts.epoch}, avatar {facts.avatar}")
    if facts.voice_state:
        output.result(f"voice     {facts.model}, for {facts.voice_state}")
    if facts.encryption:
        output.result(f"room      {facts.encryption}")
    for cap in status.caps:
        output.result(f"cap       {_cap_line(cap)}")
    if speaking:
        output.result(f"{speaking.state:<9} {_utterance_line(speaking)}")
    for place, waiting in enumerate(status.waiting, 1):
        output.result(f"{place:>7}.  {_utterance_line(waiting)}")
    if status.waiting_left_out:
        output.result(f"          and {status.waiting_left_out} more")
    if not speaking and not status.waiting:
        output.result("idle      nothing is spoken and nothing waits")


def _cap_line(cap: Usage) -> str:
    used = f"{cap.name}: {cap.used:g} of {cap.limit:g} {cap.unit} used"
    minutes = math.ceil(cap.resets_in_s / 60) if cap.used else 0
    return f"{used}, none again in {minutes} min" if minutes else used


def _utterance_line(report: Report) -> str:
    shown_id = report.id if report.id.isprintable() else repr(report.id)
    route = f"  {route_word(report.route)}" if report.route else ""
    voice = f"  in the voice of {report.provider}" if report.voice_reason else ""
    return f"id={shown_id}  {report.chars} characters{route}{voice}"
