"""liba token"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings

Identity = Annotated[
    str | None, typer.Option("--identity", "-i", help="Who joins [default: viewer-<random>]")
]
Name = Annotated[str, typer.Option("--name", "-n", help="Name shown to others")]
ValidFor = Annotated[str, typer.Option("--valid-for", help="Time to join and speak in: 90s, 10m, 1h30m")]
CanSay = Annotated[bool, typer.Option("--can-say", help="May make the agent speak, in its turn")]
CanControl = Annotated[
    bool, typer.Option("--can-control", help="May stop it, interrupt it, and go before others")
]
CanPublish = Annotated[bool, typer.Option("--can-publish", help="May publish camera and microphone")]
Agent = Annotated[
    bool, typer.Option("--agent", help="Bring the agent: it comes into a room that joining makes")
]
TokenOnly = Annotated[bool, typer.Option("--token-only", help="Print the token alone")]
PermissionOnly = Annotated[
    bool,
    typer.Option("--permission-only", help="Print just what --can-say adds, for a token made elsewhere"),
]
OpenMeet = Annotated[bool, typer.Option("--open", help="Open LiveKit Meet with it in a browser")]


def token(
    room: Room = None,
    identity: Identity = None,
    name: Name = "",
    valid_for: ValidFor = "10m",
    can_say: CanSay = False,
    can_control: CanControl = False,
    can_publish: CanPublish = False,
    agent: Agent = False,
    as_json: AsJson = False,
    token_only: TokenOnly = False,
    permission_only: PermissionOnly = False,
    open_page: OpenMeet = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Mint a token: join one room and watch.

    \b
    liba token --room demo --open          watch in a browser
    liba token --can-say --token-only      for a page that makes the agent speak
    liba token --agent --can-say --json    for LiveKit's own pages

    What --can-say and --can-control add is the attribute liba.say: a permission for this room and identity,
    signed, that ends with --valid-for. Alone it makes a token of another tool one that may speak:

    \b
    lk token create --join --room demo --identity ann --attribute \\
        "liba.say=$(liba token --can-say --permission-only -r demo -i ann)"
    """
    from libacli.cli.runs.token import TokenRun
    from libacli.edges.livekit.tokens import Permissions

    settings = livekit_settings(config, url, api_key, api_secret, project, say_room=room)
    TokenRun(
        settings.livekit(),
        room=settings.say_room,
        identity=identity,
        name=name,
        valid_for=valid_for,
        permissions=Permissions(can_say=can_say, can_publish=can_publish, can_control=can_control),
        brings=settings.agent_name if agent else "",
        as_json=as_json,
        token_only=token_only,
        permission_only=permission_only,
        open_page=open_page,
    ).run()
