"""liba token"""

import os
from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Room, Url, seconds, settings_from
from libacli.cli.output import output
from libacli.errors import UsageError

_LONGEST_S = 24 * 3600


def token(
    room: Room = None,
    identity: Annotated[
        str | None, typer.Option("--identity", "-i", help="Who joins [default: viewer-<random>]")
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="Name shown to others")] = "",
    valid_for: Annotated[str, typer.Option("--valid-for", help="Time to join in: 90s, 10m, 1h30m")] = "10m",
    can_say: Annotated[bool, typer.Option("--can-say", help="May make the agent speak")] = False,
    can_publish: Annotated[
        bool, typer.Option("--can-publish", help="May publish camera and microphone")
    ] = False,
    as_json: AsJson = False,
    token_only: Annotated[bool, typer.Option("--token-only", help="Print the token alone")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open LiveKit Meet with it in a browser")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Mint a token: join one room and watch.

    \b
    liba token --room demo --open          watch in a browser
    liba token --can-say --token-only      for a page that makes the agent speak
    """
    from libacli.core.connection_details import ConnectionDetails
    from libacli.edges.livekit.tokens import Permissions, join_token

    settings = settings_from(
        config, livekit_url=url, livekit_api_key=api_key, livekit_api_secret=api_secret
    ).settings
    credentials = settings.livekit()
    room = settings.say_room if room is None else room
    identity = f"viewer-{os.urandom(3).hex()}" if identity is None else identity
    valid_for_s = seconds(valid_for)
    if not 1 <= valid_for_s <= _LONGEST_S:
        raise UsageError(
            "--valid-for must be 1s to 24h", hint="a token is only needed to join; 10m is plenty"
        )
    jwt = join_token(
        credentials,
        room=room,
        identity=identity,
        name=name,
        valid_for_s=valid_for_s,
        permissions=Permissions(can_say=can_say, can_publish=can_publish),
    )
    if token_only:
        output.result(jwt)
    elif as_json:
        output.json(
            {
                "url": credentials.ws_url,
                "room": room,
                "identity": identity,
                "valid_for_s": valid_for_s,
                "can_say": can_say,
                "can_publish": can_publish,
                "token": jwt,
            }
        )
    else:
        output.result(f"url:       {credentials.ws_url}")
        output.result(f"room:      {room}")
        output.result(f"identity:  {identity}")
        output.result(f"valid for: {valid_for}")
        output.result(f"token:     {jwt}")
    if open_page:
        _open(ConnectionDetails(credentials.ws_url, jwt).meet_url)


def _open(link: str) -> None:
    import webbrowser

    if not webbrowser.open(link):
        output.status(
            "no browser could be opened; join with the token at https://meet.livekit.io/?tab=custom"
        )
