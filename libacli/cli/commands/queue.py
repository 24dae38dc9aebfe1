"""liba queue"""

import math

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Room, Url, settings_from
from libacli.cli.output import output
from libacli.core.event import AgentStatus, Report
from libacli.core.route import route_word
from libacli.core.usage import Usage


def queue(
    room: Room = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Show what an agent speaks, what waits, and what it may still spend.

    \b
    liba queue --room demo
    liba queue --json | jq '.waiting | length'
    liba queue --json | jq '.caps[] | select(.used >= .limit)'
    """
    from libacli.cli.runs.ask import ask

    settings = settings_from(
        config, livekit_url=url, livekit_api_key=api_key, livekit_api_secret=api_secret
    ).settings
    told = ask(settings, room, lambda client: client.queue())
    if as_json:
        output.json(told.encode())
    else:
        _show(told)


def _show(status: AgentStatus) -> None:
    facts, speaking = status.facts, status.speaking
    output.result(f"agent     {facts.agent} in room {facts.room}, epoch {facts.epoch}, avatar {facts.avatar}")
    for cap in status.caps:
        output.result(f"cap       {_cap(cap)}")
    if speaking:
        output.result(f"{speaking.state:<9} {_line(speaking)}")
    for place, waiting in enumerate(status.waiting, 1):
        output.result(f"{place:>7}.  {_line(waiting)}")
    if status.waiting_left_out:
        output.result(f"          and {status.waiting_left_out} more")
    if not speaking and not status.waiting:
        output.result("idle      nothing is spoken and nothing waits")


def _cap(cap: Usage) -> str:
    used = f"{cap.name}: {cap.used:g} of {cap.limit:g} {cap.unit} used"
    minutes = math.ceil(cap.resets_in_s / 60)
    return f"{used}, none again in {minutes} min" if cap.used else used


def _line(report: Report) -> str:
    shown_id = report.id if report.id.isprintable() else repr(report.id)
    route = f"  {route_word(report.route)}" if report.route else ""
    return f"id={shown_id}  {report.chars} characters{route}"
