"""liba queue"""

import math
from typing import Any

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Room, Url, settings_from
from libacli.cli.output import output


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
        output.json(told)
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    output.result(
        f"agent     {told['agent']} in room {told['room']}, epoch {told['epoch']}, avatar {told['avatar']}"
    )
    for cap in told["caps"]:
        output.result(f"cap       {_cap(cap)}")
    speaking = told["speaking"]
    if speaking:
        output.result(f"{speaking['state']:<9} {_line(speaking)}")
    for place, waiting in enumerate(told["waiting"], 1):
        output.result(f"{place:>7}.  {_line(waiting)}")
    if not speaking and not told["waiting"]:
        output.result("idle      nothing is spoken and nothing waits")


def _cap(cap: dict[str, Any]) -> str:
    used = f"{cap['name']}: {cap['used']:g} of {cap['limit']:g} {cap['unit']} used"
    minutes = math.ceil(cap["resets_in_s"] / 60)
    return f"{used}, none again in {minutes} min" if cap["used"] else used


def _line(report: dict[str, Any]) -> str:
    given_id = str(report["id"])
    route = f"  {report['route']}" if report.get("route") else ""
    return f"id={given_id if given_id.isprintable() else repr(given_id)}  {report['chars']} characters{route}"
