"""liba next"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings
from libacli.errors import UsageError


def next(
    room: Room = None,
    utterance_id: Annotated[
        str | None, typer.Option("--id", help="The line of this id [default: the one longest on standby]")
    ] = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Give the go-ahead to the line that waits for it in a room.

    It works from anywhere: the line is ready at the agent, whoever plays the show. A pause before it is
    cut short.

    \b
    liba next --room demo
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_next

    if utterance_id == "":  # of a variable that is not set: another one would go
        raise UsageError("--id is empty", hint="leave it out for the one that is longest on standby")
    settings = livekit_settings(config, url, api_key, api_secret, project)
    show_next(ask(settings, room, lambda client: client.next(utterance_id or "")), as_json=as_json)
