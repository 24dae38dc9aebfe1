"""liba agent"""

from typing import Annotated, Literal

import typer

from libacli.cli.options import ApiKey, ApiSecret, ConfigFile, LogLevel, Project, Url, group, livekit_settings

app = group("The worker that speaks.")

Rooms = Annotated[
    list[str] | None, typer.Option("--room", "-r", help="Go into this room at once; may be repeated")
]
AgentName = Annotated[
    str | None, typer.Option("--agent-name", help="Name it is dispatched by [setting: agent.name]")
]
MaxRooms = Annotated[
    int | None, typer.Option("--max-rooms", min=1, help="Rooms at a time [setting: agent.max_rooms]")
]
Isolation = Annotated[
    Literal["process", "thread"] | None,
    typer.Option("--isolation", help="A process per room, or a thread, which needs less memory"),
]


@app.command()
def run(
    room: Rooms = None,
    agent_name: AgentName = None,
    max_rooms: MaxRooms = None,
    isolation: Isolation = None,
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

    settings = livekit_settings(
        config,
        url,
        api_key,
        api_secret,
        project,
        agent_name=agent_name,
        agent_max_rooms=max_rooms,
        agent_isolation=isolation,
        log_level=log_level,
    )
    settings.livekit()
    run_worker(settings, rooms=room or [])
