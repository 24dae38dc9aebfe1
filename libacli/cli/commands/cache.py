"""liba cache"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, Instructions, Project, Speed, group, settings_from

app = group("What was said before, kept on this machine's disk.")


@app.command()
def warm(
    file: Annotated[str, typer.Argument(help="A text on each line; - reads standard input")],
    voice: Annotated[str | None, typer.Option("--voice", help="Voice for these lines")] = None,
    speed: Speed = None,
    instructions: Instructions = None,
    as_json: AsJson = False,
    project: Project = None,
    config: ConfigFile = None,
) -> None:
    """Have lines spoken to nobody and kept: then they are heard at once.

    \b
    LIBA_VOICE_CACHE_MB=200 liba cache warm lines.txt
    grep -v '^#' lines.txt | liba cache warm - --voice nova

    What is kept already is passed over, and costs nothing. Ctrl-C keeps what is done. A line is found again
    as long as it is said by the same voice, in the same manner, with the same settings.
    """
    from libacli.cli.runs.cache_warm import WarmRun, lines_of

    members = {"voice": voice, "speed": speed, "instructions": instructions}
    WarmRun(settings_from(config, project=project).settings, lines_of(file), members, as_json=as_json).run()


@app.command()
def show(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show how much is kept, and where.

    \b
    liba cache show
    """
    from libacli.cli.runs.cache import show_cache

    show_cache(settings_from(config).settings, as_json=as_json)


@app.command()
def clear(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Remove all that is kept. Agents that run have some of it in their memory until they end.

    \b
    liba cache clear
    """
    from libacli.cli.runs.cache import clear_cache

    settings_from(config)
    clear_cache(as_json=as_json)
