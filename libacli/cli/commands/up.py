"""liba up"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, OpenPage, Project, Room, settings_from


def up(
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Port of the page [setting: serve.port]"),
    ] = None,
    open_page: OpenPage = False,
    as_json: AsJson = False,
    room: Room = None,
    project: Project = None,
    config: ConfigFile = None,
) -> None:
    """Run server, avatar, agent and page on this machine.

    It stays until Ctrl-C. Every other command of liba, in any terminal, finds them by itself, unless another
    LiveKit server is set up. With LIVEKIT_URL and its key set, or --project, it uses that server.

    \b
    liba up
    liba say "Hello there."      in another terminal
    liba down                    from anywhere, as Ctrl-C
    """
    from libacli.cli.runs.up import UpRun

    settings = settings_from(config, project=project, is_local=True, say_room=room, serve_port=port).settings
    UpRun(
        settings,
        room=settings.say_room,
        port=settings.serve_port,
        open_page=open_page,
        config_file=config,
        as_json=as_json,
    ).run()
