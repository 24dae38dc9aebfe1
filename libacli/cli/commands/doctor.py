"""liba doctor"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Url, settings_or_error
from libacli.errors import UsageError

AskedRoom = Annotated[
    str | None, typer.Option("--room", "-r", help="Room that an agent should be in [setting: say.room]")
]
Paid = Annotated[bool, typer.Option("--paid", help="Go the whole way: voices say a word, the avatar comes")]
Capacity = Annotated[
    bool, typer.Option("--capacity", help="Measure in how many rooms at once this machine can speak")
]
Offline = Annotated[bool, typer.Option("--offline", help="Check this machine only")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too")]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="-", help="Look at a viewer's token too, from standard input"),
]


def doctor(
    room: AskedRoom = None,
    paid: Paid = False,
    capacity: Capacity = False,
    offline: Offline = False,
    strict: Strict = False,
    token: Token = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Check settings, keys, services, this machine; say what to mend.

    Costs nothing without --paid, which has each voice say one word, and then goes the whole way: a worker, a
    conversation with the avatar, a word that a viewer hears, the end; and prints what a report of an issue
    needs. --capacity takes some minutes, keeps the machine busy, and uses nothing that costs. Exit code 0:
    nothing failed; 3: a setting or credential did; 4: LiveKit cannot be reached; 1: something else. What the
    folder sets and only you may is told, and left out.

    \b
    liba doctor
    liba doctor --room demo                      whether an agent answers, too
    liba doctor --paid --json > report.json      secrets are masked
    liba doctor --offline --capacity             what agent.max_rooms may be here
    liba token --token-only | liba doctor --token -
    """
    if token not in (None, "-"):
        raise UsageError(
            "a token on the command line can be read by everybody on this machine",
            hint="give it on standard input: --token -",
        )
    from libacli.cli.runs.doctor import DoctorRun

    credentials = {"livekit_url": url, "livekit_api_key": api_key, "livekit_api_secret": api_secret}
    code = DoctorRun(
        settings_or_error(config, project=project, **credentials),
        room=room,
        is_paid=paid,
        measures_capacity=capacity,
        is_offline=offline,
        is_strict=strict,
        looks_at_token=token is not None,
        as_json=as_json,
        config_file=config,
    ).run()
    if code:
        raise typer.Exit(code)
