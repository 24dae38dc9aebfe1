"""Where settings come from, and which source goes first.

Order, first wins: flags > environment > `.env` > `--config FILE` or `./liba.toml` > user's file > defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from libacli.config import Settings, toml_name, variable_name
from libacli.errors import ConfigError

_OLDER_NAMES = {
    "tavus_replica_id": "tavus_face_id",
    "tavus_persona_id": "tavus_pal_id",
    "tavus_ready_timeout": "avatar_ready_timeout",
    "tavus_join_timeout": "avatar_join_timeout",
    "tavus_audible_timeout": "avatar_audible_timeout",
    "tavus_idle_timeout": "avatar_idle_timeout",
    "tavus_max_duration": "avatar_max_duration",
    "tavus_renew_before": "avatar_renew_before",
    "tavus_max_minutes_per_day": "avatar_max_minutes_per_day",
}
"""How earlier versions spelled them, in files and (in capitals) in the environment; they go on working."""

PROJECT_FILE = Path("liba.toml")
DOTENV_FILE = Path(".env")
CONFIG_VARIABLE = "LIBA_CONFIG"
_SECTIONS = tuple(dict.fromkeys(toml_name(field).partition(".")[0] for field in Settings.model_fields))


@dataclass(frozen=True)
class LoadedSettings:
    """Settings together with their origins."""

    settings: Settings
    origins: dict[str, str]
    """Field name → where its value came from: `flag`, `environment NAME`, a file's path, or `default`."""


def load(
    *,
    flags: Mapping[str, Any] | None = None,
    config_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user_file: Path | None = None,
) -> LoadedSettings:
    """Reads all sources. `flags` are fields by name; None means not given.

    Raises ConfigError for a file that cannot be read, an unknown key, or an invalid value.
    """
    environment = os.environ if environment is None else environment
    folder = folder or Path()
    layers: list[dict[str, tuple[Any, str]]] = [
        {name: (value, "flag") for name, value in (flags or {}).items() if value is not None},
        _from_variables(environment, "environment"),
        _from_dotenv(folder / DOTENV_FILE),
    ]
    if config_file:
        layers.append(_from_toml(config_file))
    elif (folder / PROJECT_FILE).is_file():
        layers.append(_from_toml(folder / PROJECT_FILE))
    user_file = user_file or user_config_file()
    if user_file.is_file():
        layers.append(_from_toml(user_file))

    found: dict[str, tuple[Any, str]] = {}
    for layer in reversed(layers):
        found |= layer
    origins = {name: found[name][1] if name in found else "default" for name in Settings.model_fields}
    try:
        settings = Settings(**{name: value for name, (value, _) in found.items()})
    except ValidationError as error:
        raise _explained(error, origins) from None
    settings.livekit_previous()
    return LoadedSettings(settings, origins)


def user_config_file() -> Path:
    """The settings file of this user, whether it is there or not."""
    from platformdirs import user_config_path

    return user_config_path("liba") / "config.toml"


def _from_variables(variables: Mapping[str, str], origin: str) -> dict[str, tuple[Any, str]]:
    known = {older.upper(): field for older, field in _OLDER_NAMES.items()}
    known |= {variable_name(field): field for field in Settings.model_fields}
    for name in variables:
        if name.startswith("LIBA_") and name not in known and name != CONFIG_VARIABLE:
            raise ConfigError(f"{name} is not a setting of liba", hint=_nearest(name, known))
    # The newer spelling comes later in `known` and so wins where both are set.
    return {
        field: (variables[name], f"{origin} {name}") for name, field in known.items() if variables.get(name)
    }


def _from_dotenv(file: Path) -> dict[str, tuple[Any, str]]:
    if not file.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = {name: value for name, value in dotenv_values(file).items() if value}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {file}: {_short(error)}", hint="it must be a text file in UTF-8"
        ) from error
    return _from_variables(values, str(file))


def _from_toml(file: Path) -> dict[str, tuple[Any, str]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {file}: {_short(error)}", hint="`liba config init` writes one"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}", hint="see config.example.toml") from error
    found = {}
    for section, table in tables.items():
        if section not in _SECTIONS:
            raise ConfigError(f"{file}: unknown table [{section}]", hint=_nearest(section, _SECTIONS))
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: {section} must be a table", hint=f"write [{section}] above its keys")
        for key, value in table.items():
            newer = _OLDER_NAMES.get(f"{section}_{key}")
            field = newer or f"{section}_{key}"
            if field not in Settings.model_fields:
                known = [toml_name(name) for name in Settings.model_fields]
                raise ConfigError(
                    f"{file}: unknown setting {section}.{key}", hint=_nearest(f"{section}.{key}", known)
                )
            if value == "" or (newer and field in found):
                continue  # empty is the same as not set, as in the environment; the newer spelling wins
            found[field] = (value, f"{file} {section}.{key}" if newer else str(file))
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]}?" if match else "`liba config show` lists all settings"


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _explained(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_input=False, include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"][0].lower() + first["msg"][1:]
    return ConfigError(
        f"{toml_name(field)}: {message} (from {origins.get(field, 'unknown')})",
        hint="config.example.toml describes every setting",
    )
