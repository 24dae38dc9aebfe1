"""liba play"""

from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Url, livekit_settings


def play(
    show: Annotated[Path, typer.Argument(metavar="SHOW", help="The show: .toml, .jsonl or .md")],
    room: Annotated[
        str | None,
        typer.Option("--room", "-r", help="Room of all cues [default: as the show has it, else say.room]"),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="LABEL", help="Begin at this label, or number of a cue")
    ] = "",
    loop: Annotated[bool, typer.Option("--loop", help="Again from its beginning, until Ctrl-C")] = False,
    step: Annotated[bool, typer.Option("--step", help="Each line waits for Enter, or `liba next`")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say nothing: tell what it holds, and all that is wrong")
    ] = False,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Play a show: lines, pauses and steps, in order.

    Each line is with the agent before its time, and is heard at once when that comes. Ctrl-C stops what is
    spoken of it, takes back what waits, and tells where to go on.

    \b
    liba play show.toml --check
    liba play show.md --room demo --from "Second act"
    liba play show.jsonl --step --json
    """
    from libacli.cli.runs.play import PlayRun

    settings = livekit_settings(config, url, api_key, api_secret, project)
    run = PlayRun(settings, show, room, start, loops=loop, steps=step, as_json=as_json)
    if check:
        run.check()
    else:
        run.run()
