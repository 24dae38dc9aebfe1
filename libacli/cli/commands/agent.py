"""liba agent"""

import enum
from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, ConfigFile, LogLevel, Project, Url, group, settings_from

app = group("The worker that speaks.")


class Isolation(enum.StrEnum):
    process = "process"
    thread = "thread"


@app.command()
def run(
    room: Annotated[
        list[str] | None, typer.Option("--room", "-r", help="Go into this room at once; may be repeated")
    ] = None,
    agent_name: Annotated[
        str | None, typer.Option("--agent-name", help="Name it is dispatched by [setting: agent.name]")
    ] = None,
    max_rooms: Annotated[
        int | None, typer.Option("--max-rooms", min=1, help="Rooms at a time [setting: agent.max_rooms]")
    ] = None,
    isolation: Annotated[
        Isolation | None,
        typer.Option("--isolation", help="A process per room, or a thread, which needs less memory"),
    ] = None,
    log_level: LogLevel = None,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Run the worker: it joins rooms and speaks.

    \b
    liba agent run                 waits for `liba say`, which brings it in
    liba agent run --room demo     goes into room demo at once
    """
    from libacli.cli.runs.agent import run_worker

    settings = settings_from(
        config,
        project=project,
        livekit_url=url,
        livekit_api_key=api_key,
        livekit_api_secret=api_secret,
        agent_name=agent_name,
        agent_max_rooms=max_rooms,
        agent_isolation=isolation,
        log_level=log_level,
    ).settings
    settings.livekit()
    run_worker(settings, rooms=room or [])
