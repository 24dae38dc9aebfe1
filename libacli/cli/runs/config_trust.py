"""Runs `liba config trust`: notes the folder's files of settings down as trusted, or crosses them out."""

from __future__ import annotations

from pathlib import Path

from libacli.cli.output import output
from libacli.cli.runs.config import shown_value
from libacli.config_files import read_file
from libacli.config_sources import DOTENV_FILE, PROJECT_FILE, folder_files, folder_values
from libacli.config_trust import Needs, class_of
from libacli.errors import ConfigError
from libacli.trusted_files import user_trusted_files


def trust_files() -> None:
    """Trusts the files of settings in this folder as they are now, and tells what that lets them set.

    Raises ConfigError when there is none, or one that cannot be read or is not this user's.
    """
    files = folder_files(Path())
    if not files:
        raise ConfigError(
            f"there is neither {DOTENV_FILE} nor {PROJECT_FILE} in this folder",
            hint="`liba config init` writes one",
        )
    contents = {file: read_file(file) for file in files}
    # All of them are understood before the first is trusted.
    values = {file: folder_values(file, content) for file, content in contents.items()}
    for file, content in contents.items():
        user_trusted_files().add(file, content)
        output.result(f"trusted  {file.absolute()}")
        for field, given in values[file].items():
            if (trust := class_of(field)).needs is not Needs.NOTHING:
                output.status(f"{given.spelled} = {shown_value(field, given.value)}  ({trust.value})")


def forget_files() -> None:
    """Trusts the files of settings in this folder no more, whether they are still there or not."""
    trusted = user_trusted_files()
    forgotten = [file for file in (DOTENV_FILE, PROJECT_FILE) if trusted.remove(file)]
    for file in forgotten:
        output.result(f"not trusted any more  {file.absolute()}")
    if not forgotten:
        output.status("no file of this folder was trusted")
