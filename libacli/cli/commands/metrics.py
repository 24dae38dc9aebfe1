"""liba metrics"""

import enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    Project,
    Url,
    group,
    livekit_settings,
    settings_from,
)
from libacli.cli.output import output
from libacli.errors import UsageError

app = group("How long speech takes: T0 to T3 of each utterance.")


class Key(enum.StrEnum):
    """What records are grouped by; Typer takes no list of literals."""

    route = "route"
    voice = "voice"
    model = "model"
    room = "room"
    key = "key"
    provider = "provider"
    day = "day"
    outcome = "outcome"


OneRoom = Annotated[str | None, typer.Option("--room", "-r", help="This room only [default: all]")]
Since = Annotated[
    str | None, typer.Option("--since", help="Not older: 90s, 30m, 24h, 7d, or a time like 2026-11-22T18:00")
]
Until = Annotated[str | None, typer.Option("--until", help="Not newer, in the same way")]
Route = Annotated[str | None, typer.Option("--route", help="This route only: tavus or fallback")]
WatchedRoom = Annotated[
    str | None,
    typer.Option("--room", "-r", help="Watch this room live [default: the records of this machine]"),
]
AllRooms = Annotated[
    bool, typer.Option("--all", help="All rooms of the LiveKit server, a line each, from anywhere")
]
Calls = Annotated[
    int | None,
    typer.Option("--calls", min=20, help="With --all: API calls a minute at most [default: 300]"),
]
Once = Annotated[bool, typer.Option("--once", help="Print what is known now, and end")]
ShowText = Annotated[bool, typer.Option("--show-text", help="Show what is said, from the room's captions")]
AsJsonLines = Annotated[bool, typer.Option("--json", "-j", help="Print JSON, a line each")]
By = Annotated[
    list[Key] | None,
    typer.Option("--by", help="Group by this; may be repeated [default: route]"),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option("--assert", help="End with code 10 unless it holds: 'd01.p95<900'; may be repeated"),
]
Cost = Annotated[
    bool, typer.Option("--cost", help="What it has cost, by the prices that are set, and by day at first")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="With --cost: print CSV")]
Format = Annotated[
    Literal["csv", "json", "ndjson"] | None,
    typer.Option("--format", help="How it is written [default: csv]"),
]
NewFile = Annotated[Path | None, typer.Option("--output", "-o", help="A new file [default: standard output]")]


@app.command()
def watch(
    room: WatchedRoom = None,
    all_rooms: AllRooms = False,
    calls: Calls = None,
    once: Once = False,
    show_text: ShowText = False,
    as_json: AsJsonLines = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Watch utterances as they are spoken, and where time goes.

    \b
    liba metrics watch                  what this machine's agents speak
    liba metrics watch --room demo      one room, from anywhere
    liba metrics watch --all            all rooms of the server, by any worker
    liba metrics watch --json | jq .d01 for scripts
    """
    if all_rooms and (room is not None or show_text):
        raise UsageError("--all is of all rooms, without texts", hint="leave --room and --show-text out")
    if calls is not None and not all_rooms:
        raise UsageError("--calls goes with --all")
    settings = livekit_settings(config, url, api_key, api_secret, project)
    if all_rooms:
        from libacli.cli.runs.metrics_fleet import FleetWatchRun

        FleetWatchRun(settings, as_json=as_json, once=once, calls=calls).run()
        return
    from libacli.cli.runs.metrics_watch import MetricsWatchRun

    MetricsWatchRun(settings, room=room, as_json=as_json, once=once, show_text=show_text).run()


@app.command()
def summary(
    by: By = None,
    room: OneRoom = None,
    route: Route = None,
    since: Since = None,
    until: Until = None,
    conditions: Conditions = None,
    cost: Cost = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Percentiles, or the cost, of what this machine has spoken.

    \b
    liba metrics summary --since 24h --by route --by voice
    liba metrics summary --assert 'd01.p95<900' --assert 'total.count>=20'
    liba metrics summary --cost --since 30d --by key --csv

    No price is built in: set what your vendors ask of you, in the table
    prices of liba.toml. Examples, and nobody's prices:

    \b
    [prices]
    avatar = "0.50 per minute"
    voices = {"tts-1" = "20 per 1M chars"}   # by model, model/voice, provider
    """
    from libacli.cli.runs.metrics_summary import Selection, summarise_store

    _check_cost(cost, conditions, as_csv=as_csv, as_json=as_json)
    selection = Selection.read(room=room, route=route, since=since, until=until)
    keys = [str(key) for key in by or ()] or ["day" if cost else "route"]
    if cost:
        from libacli.cli.runs.metrics_cost import show_cost

        settings = settings_from(config).settings
        show_cost(settings, selection, by=keys, as_csv=as_csv, as_json=as_json)
        return
    summarise_store(selection, by=keys, conditions=conditions or [], as_json=as_json)


@app.command()
def export(
    format: Format = None,
    as_json: Annotated[bool, typer.Option("--json", "-j", help="The same as --format json")] = False,
    to: NewFile = None,
    room: OneRoom = None,
    route: Route = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Print the records of this machine, oldest first.

    \b
    liba metrics export --since 7d > week.csv
    liba metrics export --format ndjson | jq 'select(.d01 > 900)'
    """
    from libacli.cli.runs.metrics_summary import Selection, export_store

    chosen = format or ("json" if as_json else "csv")
    export_store(Selection.read(room=room, route=route, since=since, until=until), chosen, to)


@app.command()
def dashboard(
    as_json: Annotated[bool, typer.Option("--json", "-j", help="It is JSON anyway")] = False,
) -> None:
    """Print a Grafana dashboard for what agents tell Prometheus.

    \b
    liba metrics dashboard > liba.json    then, in Grafana: Dashboards, Import
    """
    output.result(files("libacli.edges.metrics").joinpath("dashboard.json").read_text(encoding="utf-8"))


@app.command()
def alerts(
    job: Annotated[
        str, typer.Option("--job", help="Scrape jobs that are liba's, as a regular expression")
    ] = "liba.*",
    as_json: Annotated[bool, typer.Option("--json", "-j", help="A JSON list of the rules instead")] = False,
    config: ConfigFile = None,
) -> None:
    """Print alerting rules for Prometheus.

    \b
    liba metrics alerts > liba.rules.yml    then, in prometheus.yml: rule_files
    promtool check rules liba.rules.yml
    """
    from libacli.cli.runs.metrics_alerts import print_alerts

    print_alerts(settings_from(config).settings, job=job, as_json=as_json)


def _check_cost(cost: bool, conditions: list[str] | None, *, as_csv: bool, as_json: bool) -> None:
    """Raises UsageError for what does not go with --cost, or without it."""
    if as_csv and not cost:
        raise UsageError("--csv goes with --cost", hint="liba metrics export prints the records as CSV")
    if cost and (conditions or (as_csv and as_json)):
        raise UsageError("--cost takes no --assert, and is printed as --csv or --json, not both")
