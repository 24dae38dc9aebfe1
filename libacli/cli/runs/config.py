"""Runs `liba config`: writes a settings file, shows the settings, tells which files they are read from."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from libacli.cli.output import output
from libacli.config import example, is_secret, toml_name, variable_name
from libacli.config_files import read_file
from libacli.config_sources import (
    DOTENV_FILES,
    PROJECT_FILE,
    TRUST_HINT,
    LoadedSettings,
    load,
    user_config_file,
)
from libacli.errors import ConfigError
from libacli.lk_projects import lk_file
from libacli.masking import without_password
from libacli.private_files import new_private_file, private_folder
from libacli.trusted_files import user_trusted_files

MASK = "********"


def write_settings_file(*, user: bool, force: bool, as_json: bool = False) -> None:
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
        raise ConfigError(
            f"cannot write {target}: {error.strerror}", hint="make its folder writable, or go to another one"
        ) from error
    output.status("wrote it; every setting is in there, commented out")
    if not user:
        output.status(
            "what is marked (trust) needs: liba config trust; or write it into your own file: --user"
        )
    if as_json:
        output.json({"path": str(target)})
    else:
        output.result(str(target))


def show_settings(loaded: LoadedSettings, *, as_json: bool) -> None:
    """Prints every setting and where it came from, and what was left out, secrets masked."""
    rows = [_row(loaded, field) for field in loaded.origins]
    if as_json:
        output.json(rows)
        return
    width = max(len(row["setting"]) for row in rows)
    for row in rows:
        shown = "-" if row["value"] in (None, "") else row["value"]
        output.result(f"{row['setting']:<{width}}  {shown!s:<28}  {row['origin']}")
    for one in loaded.left_out:
        told = f"left out of {one.file}: {one.why}"
        output.result(f"{toml_name(one.field):<{width}}  {shown_value(one.field, one.value)!s:<28}  {told}")
    if loaded.left_out:
        output.status(TRUST_HINT)


def show_settings_files(config_file: Path | None, *, as_json: bool) -> None:
    """Prints the files that are read, first wins, and whether they are there and trusted."""
    try:
        partly = {one.file for one in load(config_file=config_file).left_out}
    except ConfigError:  # whatever is wrong with what they hold, this tells where they are
        partly = set()
    states = {
        file: _state(file, partly) for file in (*DOTENV_FILES, *([] if config_file else [PROJECT_FILE]))
    }
    own = [*([config_file] if config_file else []), user_config_file(), lk_file()]
    states |= {file: "read" if file.is_file() else "missing" for file in own}
    rows = [{"state": state, "path": str(file.absolute())} for file, state in states.items()]
    if as_json:
        output.json(rows)
        return
    for row in rows:
        output.result(f"{row['state']:<7}  {row['path']}")


def shown_value(field: str, value: object) -> object:
    """A value as it may be shown: no secret, no password. One that is not validated may be anything."""
    if is_secret(field):
        return MASK if value else None
    if value is None or isinstance(value, int | float | tuple):
        return value
    if isinstance(value, dict):
        value = json.dumps(value) if value else ""
    return without_password(str(value))


def _state(file: Path, partly: Collection[str]) -> str:
    """What becomes of a folder's file: see `liba config path --help`."""
    if not file.is_file():
        return "missing"
    try:
        is_trusted = (file, read_file(file)) in user_trusted_files()
    except ConfigError:
        return "refused"
    return "trusted" if is_trusted else "partly" if str(file) in partly else "read"


def _row(loaded: LoadedSettings, field: str) -> dict[str, Any]:
    row = {
        "setting": toml_name(field),
        "value": shown_value(field, getattr(loaded.settings, field)),
        "origin": loaded.origins[field],
        "variable": variable_name(field),
    }
    left_out = [
        {"value": shown_value(field, one.value), "origin": one.file, "why": one.why}
        for one in loaded.left_out
        if one.field == field
    ]
    return row | ({"left_out": left_out} if left_out else {})
