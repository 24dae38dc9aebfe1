"""liba queue"""

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings
from libacli.cli.output import output


def queue(
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Show what an agent speaks, what waits, and what may be spent.

    \b
    liba queue --room demo
    liba queue --json | jq '.waiting | length'
    liba queue --json | jq '.caps[] | select(.used >= .limit)'
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_queue

    settings = livekit_settings(config, url, api_key, api_secret, project)
    status = ask(settings, room, lambda client: client.queue())
    if as_json:
        output.json(status.encode())
    else:
        show_queue(status)
