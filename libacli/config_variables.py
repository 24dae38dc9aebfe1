"""Settings as an environment, for commands of liba that are started in another folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from libacli.config import Settings, is_secret, variable_name
from libacli.config_trust import Trust, class_of


def as_variables(settings: Settings, *, with_credentials: bool) -> dict[str, str]:
    """Variables that make the same settings, if those that are empty here are set nowhere else.

    Paths become absolute. Without credentials there is none of any service, and no LiveKit project.
    """
    found = {}
    for field in Settings.model_fields:
        is_credential = class_of(field) is Trust.CREDENTIAL or is_secret(field)
        is_left_out = not with_credentials and (is_credential or field.startswith("livekit_"))
        text = _text(getattr(settings, field))
        if text and "\0" not in text and not is_left_out:
            found[variable_name(field)] = text
    return found


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return json.dumps(value) if value else ""
    return "" if value is None else str(value)
