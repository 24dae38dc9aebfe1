"""Settings: what they are, what they are called, which of them are secret.

A field `section_key` is `key` in table `[section]` of a TOML file, and an environment variable:
`LIVEKIT_*`, `OPENAI_*` and `TAVUS_*` by their own names, everything else as `LIBA_SECTION_KEY`. A field of
one word is a table of its own, with any keys; as a variable it is JSON. Fields stand in `libacli.settings`.
"""

import json
import math
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from libacli.config_trust import Needs, class_of
from libacli.config_values import LogLevel
from libacli.settings.agent import AgentSettings
from libacli.settings.avatar import AvatarSettings
from libacli.settings.credentials import LiveKitCredentials as LiveKitCredentials
from libacli.settings.credentials import is_loopback as is_loopback
from libacli.settings.livekit import LiveKitSettings
from libacli.settings.metrics import MetricsSettings
from libacli.settings.say import SaySettings
from libacli.settings.serve import ServeSettings
from libacli.settings.services import ServiceSettings
from libacli.settings.voice import VoiceSettings

_MARKS = {Needs.NOTHING: "", Needs.OWN_SECRETS: " *", Needs.TRUST: " **"}
_LEAVING_S = 10
"""What an agent needs to end its avatar."""

_VENDOR_SECTIONS = ("livekit", "openai", "tavus")


class Settings(
    # From the last to the first: pydantic takes fields of the last base first, and its own ones at the end.
    ServeSettings,
    MetricsSettings,
    AgentSettings,
    SaySettings,
    VoiceSettings,
    AvatarSettings,
    ServiceSettings,
    LiveKitSettings,
    BaseSettings,
):
    """Every setting of liba. Made by `config_sources.load`; a frozen value from then on."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=False
    )

    record_url: SecretStr | None = Field(
        default=None,
        description="Where `liba record` without a file sends to: rtmp://, rtmps:// or srt://, with its key",
    )

    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis that several machines share: redis://, rediss://, unix://; without, each is alone",
    )
    redis_prefix: str = Field(
        default="liba", min_length=1, max_length=64, description="What the names of all keys there begin with"
    )

    server_binary: Path | None = Field(
        default=None, description="A livekit-server to use instead of finding one"
    )

    log_level: LogLevel = Field(
        default="info", description="How much the agent tells; debug includes the spoken text"
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Lines to read, or JSON objects; auto: JSON under Kubernetes alone"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`config_sources.load` brings the values of all sources, with a note of where each came from."""
        return (init_settings,)

    @property
    def has_avatar(self) -> bool:
        """Whether an avatar is configured: who names no face has the service's own."""
        return bool(self.tavus_api_key)

    @property
    def departure_timeout_s(self) -> int:
        """How long a room of ours is to stay open when the last person has left; 0: as its server has it.

        As long as its avatar: with the room the agent goes, and a reload of the page would cost a new one.
        """
        return math.ceil(self.avatar_idle_timeout) + _LEAVING_S if self.has_avatar else 0


def variable_name(field: str) -> str:
    """Name of the environment variable that sets `field`."""
    return field.upper() if field.startswith(_VENDOR_SECTIONS) else f"LIBA_{field.upper()}"


def toml_name(field: str) -> str:
    """How `field` is written in words and TOML: `say.queue_limit`."""
    return field.replace("_", ".", 1)


def example() -> str:
    """The text of `config.example.toml`: every setting, described, commented out."""
    lines = [
        "# Settings of liba. Copy to ./liba.toml, or let `liba config init` write it.",
        "# Flags and environment variables (in brackets) go before what stands here.",
        "# What is marked * can do harm. In a folder's liba.toml or .env it needs: liba config trust",
        "# unless all keys and secrets in use stand in that same file.",
        "# What is marked ** needs it in any case.",
    ]
    section = ""
    for field, info in Settings.model_fields.items():
        name, _, key = toml_name(field).partition(".")
        if name != section:
            section = name
            lines += ["", f"[{section}]"]
        default = "" if info.default is None else info.default
        mark = _MARKS[class_of(field).needs]
        lines += [f"# {info.description} [{variable_name(field)}]{mark}"]
        if key:
            lines += [f"# {key} = {json.dumps(default)}"]
        for own_keys in info.examples or ():
            lines += [f"# {own_key}={json.dumps(value)}" for own_key, value in own_keys.items()]
    return "\n".join(lines) + "\n"


def is_secret(field: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[field].annotation)
