"""liba demo"""

from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, OpenPage, Project, Room, settings_from


def demo(
    text: Annotated[
        str,
        typer.Argument(help="What to say [default: what is piped in, else a greeting]", show_default=False),
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Say it, prove it, exit")] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Record the first line [default, unless it stays: liba-demo.wav]"),
    ] = None,
    open_page: OpenPage = False,
    as_json: AsJson = False,
    room: Room = None,
    project: Project = None,
    config: ConfigFile = None,
) -> None:
    """Speak on this machine and prove it was heard.

    With LIVEKIT_URL and its key set, or --project, it uses that server; with OPENAI_API_KEY set, that voice.
    On a terminal it stays, prints the link of a page to watch and speak with, and speaks each line that
    you type; /help lists its commands. Ctrl-C stops what is spoken; the next one ends it, and all it started.

    \b
    liba demo
    liba demo "Hello there." --once --record hello.mp4
    cat lines.txt | liba demo
    """
    from libacli.cli.runs.demo import DemoRun

    settings = settings_from(config, project=project, is_local=True, say_room=room).settings
    DemoRun(
        settings,
        room=settings.say_room,
        text=text,
        once=once,
        record=record,
        open_page=open_page,
        config_file=config,
        as_json=as_json,
    ).run()
