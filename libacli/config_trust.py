"""What a folder may set: the class of trust of each setting.

Whoever wrote the folder that one happens to stand in is a stranger until its files are trusted:
https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory, https://direnv.net.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Needs(enum.Enum):
    """What it takes for a setting to count that stands in a file of a folder."""

    NOTHING = "nothing"
    OWN_SECRETS = "all secrets that are in use come from the same file, or the file is trusted"
    TRUST = "the file is trusted"


class Trust(enum.Enum):
    """What a setting can do to the user, worst first; its value says so, in brackets after its name."""

    PROGRAM = "a program that would run"
    ADDRESS = "an address that your keys would be used with"
    CREDENTIAL = "a credential that would be used with your own"
    DOOR = "who may get in, or what gets out"
    LIMIT = "a limit of what you may spend"
    RECORDS = "when your records are deleted"
    HARMLESS = "harmless"

    @property
    def needs(self) -> Needs:
        """What it takes. Where no secret of the user's is in use, nothing of the user's can be given away."""
        if self is Trust.HARMLESS:
            return Needs.NOTHING
        return Needs.TRUST if self in (Trust.PROGRAM, Trust.RECORDS) else Needs.OWN_SECRETS


_FIELDS: Mapping[Trust, tuple[str, ...]] = {
    Trust.HARMLESS: (
        "tavus_face_id",
        "tavus_pal_id",
        "avatar_ready_timeout",
        "avatar_audible_timeout",
        "voice_providers",
        "voice_model",
        "voice_name",
        "voice_speed",
        "voice_instructions",
        "voice_language",
        "voice_sample_rate",
        "voice_first_pcm_timeout",
        "voice_load_timeout",
        "voice_stall_timeout",
        "voice_patience",
        "voice_hedge",
        "voice_cache_memory_mb",
        "speech_max_chunk_chars",
        "speech_first_chunk_chars",
        "speech_max_hold",
        "speech_silence_tail_ms",
        "speech_sink_timeout",
        "speech_captions",
        "say_room",
        "say_max_text_chars",
        "say_max_sound",
        "say_queue_limit",
        "say_ttl",
        "agent_name",
        "agent_isolation",
        "agent_health_port",
        "log_format",
        "metrics_store",
        "prices_currency",
        "prices_voices",
        "prices_avatar",
        "metrics_budget_d01",
        "metrics_budget_d12",
        "metrics_budget_d2a",
    ),
    Trust.ADDRESS: ("livekit_url", "livekit_public_url", "openai_base_url", "tavus_base_url"),
    Trust.CREDENTIAL: (
        "livekit_api_key",
        "livekit_api_secret",
        "livekit_previous_api_key",
        "livekit_previous_api_secret",
        "livekit_e2ee_key",
        "openai_api_key",
        "openai_headers",
        "openai_query",
        "openai_org_id",
        "openai_project_id",
        "tavus_api_key",
        "serve_owner_key",
        "record_url",
        "redis_url",
        "say_journal_key",
    ),
    Trust.LIMIT: (
        "avatar_join_timeout",
        "avatar_idle_timeout",
        "avatar_begin",
        "avatar_silent_timeout",
        "avatar_max_duration",
        "avatar_renew_before",
        "avatar_overlap",
        "avatar_check_public",
        "avatar_max_minutes_per_day",
        "avatar_max_minutes_per_room",
        "avatar_max_conversations",
        "say_rate_per_minute",
        "say_max_chars_per_hour",
        "agent_max_rooms",
        "serve_keep_alive",
        "serve_rate_per_minute",
        "serve_token_ttl",
    ),
    Trust.DOOR: (
        "avatar_can_subscribe",
        "voice_extra",
        "voice_pronounce_file",
        "pronounce",
        "say_accept",
        "agent_health_host",
        "metrics_prometheus_port",
        "metrics_prometheus_host",
        "metrics_room_names",
        "serve_host",
        "serve_port",
        "serve_keys",
        "serve_origins",
        "serve_embed",
        "serve_public_url",
        "serve_trusted_proxies",
        "serve_mcp",
        "serve_tls_cert",
        "serve_tls_key",
        "redis_prefix",
        "say_journal",
        "log_level",
        "voice_cache_mb",
    ),
    Trust.PROGRAM: ("server_binary", "voice_options"),
    Trust.RECORDS: ("metrics_keep_days", "metrics_keep_mb"),
}

CLASSES: Mapping[str, Trust] = {field: trust for trust, fields in _FIELDS.items() for field in fields}
"""Field of `Settings` → its class."""


_HARMLESS_VALUES: Mapping[str, tuple[str, ...]] = {
    "log_level": ("info", "warn", "warning", "error", "critical")
}
"""What a setting that is not harmless may be set to all the same."""


def is_harmless_value(field: str, value: object) -> bool:
    """Whether a setting that is not harmless is so with this value."""
    return str(value).lower() in _HARMLESS_VALUES.get(field, ())


def class_of(field: str) -> Trust:
    """The class of a setting; one that nobody has classed is taken for the worst."""
    return CLASSES.get(field, Trust.PROGRAM)


def is_tighter(value: object, than: object) -> bool:
    """Whether a limit is as tight as another one, or tighter; of both 0 is none at all."""
    try:
        limit, other = float(str(value)), float(str(than))
    except ValueError:
        return False
    return limit > 0 and (limit <= other or other == 0)
