"""The folders of this user, where there may be none to write to: in containers, as a user without a name."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from libacli.errors import ConfigError

if TYPE_CHECKING:  # every command loads this module at its start
    from libacli.config import Settings

_NO_HOME = "/nonexistent"
"""As Debian calls that of users who have none."""

_FIX = "make it writable, or set XDG_STATE_HOME, XDG_CACHE_HOME and XDG_CONFIG_HOME to folders that are"


def settle_home(environment: MutableMapping[str, str]) -> None:
    """Gives a home that is not there to who has none: Python would look below `~` in the current folder.

    That folder may be anybody's repository, and what is in the user's own files is believed.
    """
    if not os.path.isabs(os.path.expanduser("~")):
        environment["HOME"] = _NO_HOME


def folder_error(error: OSError) -> ConfigError | None:
    """What it amounts to that one of these folders, or what is in it, cannot be used; None: it is another."""
    from platformdirs import user_cache_path, user_config_path, user_state_path

    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    own = (user_state_path("liba"), user_cache_path("liba"), user_config_path("liba"))
    if path is None or not any(path.is_relative_to(one) or one.is_relative_to(path) for one in own):
        return None
    return ConfigError(f"cannot use {path}: {error.strerror or error}", hint=_FIX)


def check_temporary_folder() -> None:
    """Raises ConfigError where there is none: rooms and their worker speak over sockets in it."""
    import tempfile

    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no folder for temporary files that can be written to",
            hint="mount one at /tmp (Kubernetes: an emptyDir), or set TMPDIR",
        ) from error


def not_kept(settings: Settings) -> list[str]:
    """What an agent with these settings cannot keep here, and the variable that helps: a line a folder."""
    from platformdirs import user_cache_path, user_state_path

    state, cache = user_state_path("liba"), user_cache_path("liba")
    lines = []
    if (why := _trouble(state)) and (lost := _lost_without_state(settings)):
        lines.append(f"{state} cannot be written to ({why}): {'; '.join(lost)}; set XDG_STATE_HOME")
    if settings.voice_cache_mb and (why := _trouble(cache)):
        lines.append(
            f"{cache} cannot be written to ({why}): nothing that is said is kept there; set XDG_CACHE_HOME"
        )
    return lines


def _lost_without_state(settings: Settings) -> list[str]:
    lost = {
        "no avatar is begun, as after a crash it could not be ended": settings.has_avatar,
        "each room counts its characters for itself alone": bool(settings.say_max_chars_per_hour),
        "no metrics are kept": settings.metrics_store,
    }
    return [told for told, is_lost in lost.items() if is_lost]


def _trouble(folder: Path) -> str:
    """Why no file can be made in `folder`, which is made if it is missing; empty: one can."""
    import tempfile

    from libacli.private_files import private_folder

    try:
        with tempfile.TemporaryFile(dir=private_folder(folder)):
            return ""
    except OSError as error:
        return error.strerror or str(error)
