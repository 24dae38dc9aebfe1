"""liba stop"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings
from libacli.cli.output import output
from libacli.errors import UsageError


def stop(
    room: Room = None,
    utterance_id: Annotated[
        str | None,
        typer.Option("--id", help="End this utterance alone; what else is spoken or waits goes on"),
    ] = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Stop what is being spoken in a room, and forget what waits.

    With --id one of them alone. Works at any time, whatever caps are used up. Ids of what it ended are
    the result.

    \b
    liba stop --room demo
    liba stop --id 61c08bdc0353 --room demo
    liba stop --json | jq -r '.stopped[]'
    """
    from libacli.cli.runs.ask import ask

    if utterance_id == "":  # of a variable that is not set: all would be stopped
        raise UsageError("--id is empty", hint="leave it out to stop all")
    settings = livekit_settings(config, url, api_key, api_secret, project)
    stopped = ask(settings, room, lambda liba: liba.stop(utterance_id or ""))
    if as_json:
        output.json({"stopped": stopped})
        return
    for ended in stopped:
        printed = ended if ended.isprintable() else repr(ended)
        output.result(f"stopped  id={printed}")
    if not stopped:
        output.status(
            f"{utterance_id} is not spoken and does not wait"
            if utterance_id
            else "nothing was spoken and nothing waited"
        )
