"""Runs `liba config trust`: notes the folder's files of settings down as trusted, or crosses them out."""

from __future__ import annotations

from pathlib import Path

from libacli.cli.output import output
from libacli.cli.runs.config import shown_value
from libacli.config_files import read_file
from libacli.config_sources import FOLDER_FILES, folder_files, folder_values
from libacli.config_trust import Needs, class_of
from libacli.errors import ConfigError
from libacli.trusted_files import user_trusted_files


def trust_files(*, as_json: bool) -> None:
    """Trusts the files of settings in this folder as they are now, and tells what that lets them set.

    Raises ConfigError when there is none, or one that cannot be read or is not this user's.
    """
    files = folder_files(Path())
    if not files:
        raise ConfigError(
            f"there is none of {', '.join(map(str, FOLDER_FILES))} in this folder",
            hint="`liba config init` writes one",
        )
    contents = {file: read_file(file) for file in files}
    # All of them are understood before the first is trusted.
    values = {file: folder_values(file, content) for file, content in contents.items()}
    for file, content in contents.items():
        user_trusted_files().add(file, content)
        if not as_json:
            output.result(f"trusted  {file.absolute()}")
        for field, given in values[file].items():
            if (trust := class_of(field)).needs is not Needs.NOTHING:
                output.status(f"{given.spelled} = {shown_value(field, given.value)}  ({trust.value})")
    if as_json:
        output.json({"trusted": [str(file.absolute()) for file in contents]})


def forget_files(*, as_json: bool) -> None:
    """Trusts the files of settings in this folder no more, whether they are still there or not."""
    trusted = user_trusted_files()
    forgotten = [file for file in FOLDER_FILES if trusted.remove(file)]
    if as_json:
        output.json({"not_trusted_any_more": [str(file.absolute()) for file in forgotten]})
        return
    for file in forgotten:
        output.result(f"not trusted any more  {file.absolute()}")
    if not forgotten:
        output.status("no file of this folder was trusted")
