"""Runs `liba config`: writes a settings file, shows the settings, tells which files they are read from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from libacli.cli.output import output
from libacli.config import example, is_secret, toml_name, variable_name
from libacli.config_sources import DOTENV_FILE, PROJECT_FILE, LoadedSettings, user_config_file
from libacli.errors import ConfigError
from libacli.masking import without_password
from libacli.private_files import new_private_file, private_folder

MASK = "********"


def write_settings_file(*, user: bool, force: bool) -> None:
    """Writes the project's file, or this user's, in which every setting is described. Raises ConfigError."""
    target = user_config_file() if user else PROJECT_FILE
    try:
        if user:
            private_folder(target.parent)
        if force:
            target.unlink(missing_ok=True)
        with os.fdopen(new_private_file(target), "w", encoding="utf-8") as file:  # it will hold secrets
            file.write(example())
    except FileExistsError as error:
        raise ConfigError(f"{target} is there already", hint="--force overwrites it") from error
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from error
    output.status("wrote it; every setting is in there, commented out")
    output.result(str(target))


def show_settings(loaded: LoadedSettings, *, as_json: bool) -> None:
    """Prints every setting and where it came from, secrets masked."""
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


def show_settings_files(config_file: Path | None) -> None:
    """Prints the files that are read, first wins, and whether they are there."""
    for file in (DOTENV_FILE, config_file or PROJECT_FILE, user_config_file()):
        output.result(f"{'read   ' if file.is_file() else 'missing'}  {file.absolute()}")


def _plain(value: object) -> object:
    value = str(value) if isinstance(value, Path) else value
    return without_password(value) if isinstance(value, str) else value
