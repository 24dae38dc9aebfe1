"""liba config"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, Project, group, settings_with_left_out

app = group("Settings: write a file, show them, find them, trust a folder's.")


@app.command()
def init(
    user: Annotated[
        bool, typer.Option("--user", help="Write this user's file instead of ./liba.toml")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a settings file in which every setting is described.

    \b
    liba config init              ./liba.toml
    liba config init --user       for all folders
    """
    from libacli.cli.runs.config import write_settings_file

    write_settings_file(user=user, force=force, as_json=as_json)


@app.command()
def show(as_json: AsJson = False, project: Project = None, config: ConfigFile = None) -> None:
    """Show every setting and where it came from; secrets are masked.

    \b
    liba config show
    liba config show --json | jq .voice
    """
    from libacli.cli.runs.config import show_settings

    show_settings(settings_with_left_out(config, project=project), as_json=as_json)


@app.command()
def path(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Print the settings files, first wins, and whether they are read.

    \b
    missing   there is none
    read      all that it sets counts
    trusted   the same, because you have said so: liba config trust
    partly    you have not trusted it, and it sets what only you may
    refused   it belongs to somebody else, or others may write to it

    \b
    liba config path
    """
    from libacli.cli.runs.config import show_settings_files

    show_settings_files(config, as_json=as_json)


@app.command()
def trust(
    remove: Annotated[bool, typer.Option("--remove", help="Trust them no more")] = False,
    as_json: AsJson = False,
) -> None:
    """Trust this folder's .env.local, .env and liba.toml, as they are.

    All that they set counts then. Until then they may set what is harmless: room, voice, pace, captions...
    Addresses, credentials, limits of what is spent, and who may get in count only if no secret of yours,
    from elsewhere, is in use with them; programs never do. Any other command that finds such a setting ends
    with exit code 3.

    A file that changes has to be trusted again. What you name yourself with --config is yours.

    \b
    liba config show               what would count, and what was left out
    liba config trust
    liba config trust --remove
    """
    from libacli.cli.runs.config_trust import forget_files, trust_files

    if remove:
        forget_files(as_json=as_json)
    else:
        trust_files(as_json=as_json)
