"""liba config"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, group, settings_from

app = group("Settings: write a file, show them, find them.")


@app.command()
def init(
    user: Annotated[
        bool, typer.Option("--user", help="Write this user's file instead of ./liba.toml")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there")] = False,
) -> None:
    """Write a settings file in which every setting is described."""
    from libacli.cli.runs.config import write_settings_file

    write_settings_file(user=user, force=force)


@app.command()
def show(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show every setting and where it came from; secrets are masked."""
    from libacli.cli.runs.config import show_settings

    show_settings(settings_from(config), as_json=as_json)


@app.command()
def path(config: ConfigFile = None) -> None:
    """Print the settings files that are read, first wins."""
    from libacli.cli.runs.config import show_settings_files

    show_settings_files(config)
