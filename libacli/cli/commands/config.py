"""liba config"""

from pathlib import Path
from typing import Annotated, Any

import typer

from libacli.cli.options import AsJson, ConfigFile, group, settings_from
from libacli.cli.output import output
from libacli.errors import ConfigError

app = group("Settings: write a file, show them, find them.")

MASK = "********"


@app.command()
def init(
    user: Annotated[
        bool, typer.Option("--user", help="Write this user's file instead of ./liba.toml")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there")] = False,
) -> None:
    """Write a settings file in which every setting is described."""
    from libacli.config import example
    from libacli.config_sources import PROJECT_FILE, user_config_file

    target = user_config_file() if user else PROJECT_FILE
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if force:
            target.unlink(missing_ok=True)
        target.touch(mode=0o600, exist_ok=False)  # it will hold secrets
        target.write_text(example(), encoding="utf-8")
    except FileExistsError as error:
        raise ConfigError(f"{target} is there already", hint="--force overwrites it") from error
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from error
    output.status("wrote it; every setting is in there, commented out")
    output.result(str(target))


@app.command()
def show(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show every setting and where it came from; secrets are masked."""
    from libacli.config import is_secret, toml_name, variable_name

    loaded = settings_from(config)
    rows: list[dict[str, Any]] = []
    for field, origin in loaded.origins.items():
        value = getattr(loaded.settings, field)
        rows.append(
            {
                "setting": toml_name(field),
                "value": (MASK if value else None) if is_secret(field) else _plain(value),
                "origin": origin,
                "variable": variable_name(field),
            }
        )
    if as_json:
        output.json(rows)
        return
    width = max(len(row["setting"]) for row in rows)
    for row in rows:
        shown = "-" if row["value"] in (None, "") else row["value"]
        output.result(f"{row['setting']:<{width}}  {shown!s:<28}  {row['origin']}")


@app.command()
def path(config: ConfigFile = None) -> None:
    """Print the settings files that are read, first wins."""
    from libacli.config_sources import DOTENV_FILE, PROJECT_FILE, user_config_file

    for file in (DOTENV_FILE, config or PROJECT_FILE, user_config_file()):
        output.result(f"{'read   ' if file.is_file() else 'missing'}  {file.absolute()}")


def _plain(value: object) -> object:
    from libacli.masking import without_password

    value = str(value) if isinstance(value, Path) else value
    return without_password(value) if isinstance(value, str) else value
