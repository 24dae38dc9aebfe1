"""liba stop"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings
from libacli.cli.output import output


def stop(
    room: Room = None,
    utterance_id: Annotated[
        str, typer.Option("--id", help="End this utterance alone; what else is spoken or waits goes on.")
    ] = "",
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

    settings = livekit_settings(config, url, api_key, api_secret, project)
    stopped = ask(settings, room, lambda client: client.stop(utterance_id))
    if as_json:
        output.json({"stopped": stopped})
        return
    for utterance_id in stopped:
        printed = utterance_id if utterance_id.isprintable() else repr(utterance_id)
        output.result(f"stopped  id={printed}")
    if not stopped:
        output.status(
            f"{utterance_id} is not spoken and does not wait"
            if utterance_id
            else "nothing was spoken and nothing waited"
        )
