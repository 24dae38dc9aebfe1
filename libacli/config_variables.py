"""Settings as an environment, for commands of liba that are started in another folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from libacli.config import Settings, variable_name
from libacli.config_trust import Trust, class_of


def as_variables(settings: Settings, *, with_credentials: bool) -> dict[str, str]:
    """Variables that make the same settings, if those that are empty here are set nowhere else.

    Paths become absolute. Without credentials there is none of any service, and no LiveKit project.
    """
    found = {}
    for field in Settings.model_fields:
        is_credential = field.startswith("livekit_") or class_of(field) is Trust.CREDENTIAL
        text = _text(getattr(settings, field))
        if text and "\0" not in text and (with_credentials or not is_credential):
            found[variable_name(field)] = text
    return found


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
