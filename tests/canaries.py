"""Secrets and words that are recognised wherever they come out."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from tests.twirp_server import API_SECRET

WORDS = "The canary sings at midnight."
"""What is spoken in tests that look for it afterwards."""

KEYS = {
    "LIVEKIT_API_SECRET": API_SECRET,
    "LIVEKIT_PREVIOUS_API_SECRET": "canary-previous-secret-0123456789-0123456789",
    "LIVEKIT_E2EE_KEY": "canary-e2ee-key-0123456789",
    "OPENAI_API_KEY": "canary-openai-key-0123456789",
    "OPENAI_HEADERS": "canary-openai-header-0123456789",
    "OPENAI_QUERY": "canary-openai-query-0123456789",
    "TAVUS_API_KEY": 'canary-"+/\\-tavus-key-0123456789',
    "LIBA_VOICE_OPTIONS": "canary-plugin-key-0123456789",
    "LIBA_SERVE_OWNER_KEY": "canary-owner-key-0123456789",
    "LIBA_REDIS_URL": "canary-redis-password-0123456789",
    "LIBA_SAY_JOURNAL_KEY": "canary-journal-key-0123456789",
    "LIBA_RECORD_URL": "canary-stream-key-0123456789",
}
KEY_VARIABLES = KEYS | {
    "OPENAI_HEADERS": f"x-gateway-key={KEYS['OPENAI_HEADERS']}",
    "OPENAI_QUERY": f"code={KEYS['OPENAI_QUERY']}",
    "LIBA_VOICE_OPTIONS": json.dumps({"livekit:elevenlabs": {"api_key": KEYS["LIBA_VOICE_OPTIONS"]}}),
    "LIBA_REDIS_URL": f"redis://user:{KEYS['LIBA_REDIS_URL']}@127.0.0.1:9/0",
    "LIBA_RECORD_URL": f"rtmp://127.0.0.1:9/app/{KEYS['LIBA_RECORD_URL']}",
}
"""As an environment has them."""

PASSWORDS = {
    "OPENAI_BASE_URL": "canary-openai-password",
    "TAVUS_BASE_URL": "canary-tavus-password",
    "LIVEKIT_URL": "canary-livekit-password",
}
"""`secret_settings` has all but the last: with that one nothing starts."""

COLLECTOR_KEY = "canary-collector-key"


def secret_settings(*, openai: str, tavus: str) -> dict[str, str]:
    """An environment whose every secret is a canary; the services are at these `host:port`."""
    return KEY_VARIABLES | {
        "OPENAI_BASE_URL": f"http://user:{PASSWORDS['OPENAI_BASE_URL']}@{openai}/v1",
        "TAVUS_BASE_URL": f"http://user:{PASSWORDS['TAVUS_BASE_URL']}@{tavus}",
        "LIVEKIT_PREVIOUS_API_KEY": "previous",
        "TAVUS_FACE_ID": "face",
        "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={COLLECTOR_KEY}",
    }


def secrets_in(text: str, others: Mapping[str, str] | None = None) -> list[str]:
    """Names of the canaries (and of `others`) that stand in `text`, also if encoded for HTTP."""
    secrets = KEYS | {f"password of {name}": value for name, value in PASSWORDS.items()}
    secrets |= {"OTEL_EXPORTER_OTLP_HEADERS": COLLECTOR_KEY, **(others or {})}
    return [name for name, value in secrets.items() if any(form in text for form in _forms(value))]


def words_in(text: str) -> bool:
    """Whether the spoken words, or some of them, stand in `text`."""
    return "canary sings" in text or "at midnight" in text


def _forms(value: str) -> tuple[str, ...]:
    encoded = (base64.b64encode(form.encode()).decode().rstrip("=") for form in (value, f"user:{value}"))
    in_json = json.dumps(value)[1:-1]
    escaped = (in_json, json.dumps(in_json)[1:-1], repr(value)[1:-1])
    return (value, quote(value, safe=""), quote_plus(value), *escaped, *(form[:-1] for form in encoded))
