"""liba voices"""

from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, ForceFiles, Project, group, settings_from
from libacli.errors import UsageError

_HELP = """Show who can speak here, in the order in which they are asked.

How they have done of late is told by the records that the agents of this machine keep, those of the last
seven days. They are asked nothing: `liba doctor` asks, `liba voices try` listens.

\b
liba voices
LIBA_VOICE_PROVIDERS=speech,embedded liba voices
liba voices try "Hello there." -o hello.wav
"""

app = group(_HELP, does_something_alone=True)


@app.callback()
def voices(
    context: typer.Context, as_json: AsJson = False, project: Project = None, config: ConfigFile = None
) -> None:
    """What `_HELP` says."""
    if context.invoked_subcommand:
        return
    from libacli.cli.runs.voices import VoicesRun

    VoicesRun(settings_from(config, project=project).settings, as_json=as_json).show()


@app.command("try")
def try_voices(
    text: Annotated[str, typer.Argument(help="What to say")],
    voice: Annotated[
        list[str] | None,
        typer.Option(
            "--voice",
            metavar="SPEAKER",
            help="A speaker, a provider, or PROVIDER/SPEAKER; may be repeated [default: all providers]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write WAV: NAME.wav, of several NAME-PROVIDER-SPEAKER.wav"),
    ] = None,
    force: ForceFiles = False,
    as_json: AsJson = False,
    project: Project = None,
    config: ConfigFile = None,
) -> None:
    """Have voices say TEXT, without a room, and compare them. What a service takes for it is to be paid.

    \b
    liba voices try "Hello there."
    liba voices try "Hello." --voice nova --voice embedded/heart -o hello.wav
    """
    from libacli.cli.runs.voices import VoicesRun

    if out is not None and out.suffix != ".wav":
        raise UsageError(f"{out} is no WAV file", hint="name it like hello.wav")
    run = VoicesRun(settings_from(config, project=project).settings, as_json=as_json)
    run.try_out(text, voice or [], out, force=force)
