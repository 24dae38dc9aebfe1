"""What `liba queue` and its commands print."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from libacli.cli.output import output
from libacli.core.agent_status import AgentStatus
from libacli.core.event import Report
from libacli.core.queue_requests import NextAnswer, PauseAnswer
from libacli.core.route import route_word
from libacli.core.usage import Usage


def show_status(status: AgentStatus, *, as_json: bool) -> None:
    """Prints what an agent says of itself, its caps, what it speaks and what waits."""
    if as_json:
        output.json(status.encode())
        return
    facts, speaking = status.facts, status.speaking
    output.result(f"agent     {facts.agent} in room {facts.room}, epoch {facts.epoch}, avatar {facts.avatar}")
    if facts.voice_state:
        output.result(f"voice     {facts.model}, for {facts.voice_state}")
    if facts.encryption:
        output.result(f"room      {facts.encryption}")
    for cap in status.caps:
        output.result(f"cap       {_cap_line(cap)}")
    if facts.paused:
        output.result("paused    nothing begins until `liba queue resume`")
    if speaking:
        output.result(f"{speaking.state:<9} {_utterance_line(speaking)}")
    for place, waiting in enumerate(status.waiting, 1):
        output.result(f"{place:>7}.  {_utterance_line(waiting)}")
    if status.waiting_left_out:
        output.result(f"          and {status.waiting_left_out} more")
    if not speaking and not status.waiting and not facts.paused:
        output.result("idle      nothing is spoken and nothing waits")


def show_cancelled(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints what has become of a line that was taken out."""
    if as_json:
        output.json(report)
    else:
        output.result(f"cancelled  id={_printable(report['id'])}{_not_kept(report.get('journaled'))}")


def show_moved(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints where a line is now."""
    if as_json:
        output.json(report)
        return
    place = "  ".join(f"{name}={report[name]}" for name in ("position", "priority") if name in report)
    output.result(f"moved  id={_printable(report['id'])}  {place}{_not_kept(report.get('journaled'))}")


def show_pause(answer: PauseAnswer, *, as_json: bool) -> None:
    """Prints whether the queue is paused."""
    if as_json:
        output.json(answer.encode())
        return
    word = "paused" if answer.is_paused else "resumed" if answer.is_news else "not paused"
    already = "" if answer.is_news or not answer.is_paused else "  (it was already)"
    output.result(f"{word}  {answer.queue} waiting{already}")
    if answer.is_paused and not answer.is_journaled:
        output.status("it ends with this agent: without say.journal the next one begins at once")


def show_next(answer: NextAnswer, *, as_json: bool) -> None:
    """Prints which line has the go-ahead."""
    if as_json:
        output.json(answer.encode())
    else:
        already = "" if answer.is_news else "  (it had it already)"
        output.result(f"goes ahead  id={_printable(answer.id)}{already}")


def _not_kept(journaled: bool | None) -> str:
    return "  (not written down: it ends with its agent)" if journaled is False else ""


def _printable(utterance_id: str) -> str:
    return utterance_id if utterance_id.isprintable() else repr(utterance_id)


def _cap_line(cap: Usage) -> str:
    used = f"{cap.name}: {cap.used:g} of {cap.limit:g} {cap.unit} used"
    minutes = math.ceil(cap.resets_in_s / 60) if cap.used else 0
    return f"{used}, none again in {minutes} min" if minutes else used


def _utterance_line(report: Report) -> str:
    route = f"  {route_word(report.route)}" if report.route else ""
    voice = f"  in the voice of {report.provider}" if report.voice_reason else ""
    standby = "  on standby until `liba next`" if report.standby else ""
    return f"id={_printable(report.id)}  {report.chars} characters{route}{voice}{standby}"
