"""liba avatar"""

from typing import Annotated

import typer

from libacli.cli.commands.reap import reap
from libacli.cli.options import AsJson, ConfigFile, FreePort, LogLevel, group, settings_from

app = group("A local avatar, and what Tavus's need to join a room.")


@app.command()
def run(
    port: FreePort = None,
    size: Annotated[int, typer.Option(min=64, max=1280, help="Width and height of the picture")] = 512,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Pictures per second")] = 25.0,
    log_level: LogLevel = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Run an avatar service for this machine, until Ctrl-C.

    It takes the place of Tavus for an agent that is started with the lines that it prints. Its key is
    TAVUS_API_KEY where that is set, which it does not print, else a new one.

    \b
    liba avatar run      then, in another terminal, the lines that it prints
    """
    from libacli.cli.runs.avatar import run_avatar

    run_avatar(
        settings_from(config, is_local=True, log_level=log_level).settings,
        port=port,
        size=size,
        fps=fps,
        as_json=as_json,
    )


@app.command("create-pal")
def create_pal(
    name: Annotated[str, typer.Option(help="What it is called there")] = "liba",
    face: Annotated[str | None, typer.Option(help="Its face [setting: tavus.face_id]")] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a pal at Tavus that joins LiveKit rooms and only echoes.

    Pals that are made on Tavus's pages greet in a voice of theirs, or join no LiveKit room. This one has
    pipeline_mode echo and transport livekit, and nothing else. Making it costs nothing.

    \b
    TAVUS_API_KEY=... liba avatar create-pal
    """
    from libacli.cli.runs.create_pal import run_create_pal

    run_create_pal(settings_from(config, tavus_face_id=face).settings, name=name, as_json=as_json)


app.command("reap")(reap)
