from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.masking import TokenMask, masked, secrets_of, without_password


@pytest.mark.parametrize(
    ("message", "arguments", "told"),
    [
        ("refused: eyJhbGciOi.eyJzdWIi.c2ln-_x", (), "refused: [token]"),
        (
            "url %s",
            ("wss://x/rtc?access_token=eyJhbGciOi.eyJzdWIi.c2ln&v=1",),
            "url wss://x/rtc?access_token=[token]&v=1",
        ),
        ("100 %", (), "100 %"),
        ("two %d", (2,), "two 2"),
    ],
)
def test_tokens_are_taken_out_and_nothing_else(
    message: str, arguments: tuple[object, ...], told: str
) -> None:
    record = logging.LogRecord("livekit", logging.ERROR, __file__, 1, message, arguments, None)
    assert TokenMask().filter(record)
    assert record.getMessage() == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer sk-abc_DEF-1", "Authorization: Bearer [secret]"),
        ("{'authorization': 'Basic dTpwYXNz'}", "{'authorization': 'Basic [secret]'}"),
        ("authorization=Bearer%20abcdef", "authorization=Bearer%20[secret]"),
        ("x-api-key: abc-1", "x-api-key: [secret]"),
        ("{'X-Api-Key': 'abc', 'a': 1}", "{'X-Api-Key': '[secret]', 'a': 1}"),
        ("[(b'x-api-key', b'abc')]", "[(b'x-api-key', b'[secret]')]"),
        ("x-api-key=abc&v=1", "x-api-key=[secret]&v=1"),
        ("access_token=opaque&v=1", "access_token=[token]&v=1"),
        ("to http://me:p@ss:w@host:1/v1 now", "to http://[secret]@host:1/v1 now"),
        (
            "mail me@example.com, see https://example.com/@me",
            "mail me@example.com, see https://example.com/@me",
        ),
        ("the bearer of news", "the bearer of news"),
        (f"not known: liba_{'aB3_-' * 8}xyz", "not known: [secret]"),
        (f"session=lss_{'aB3_-' * 8}xyz&v=1", "session=[secret]&v=1"),
        ("Incorrect API key: sk-proj-Abcdefghijklmnop1234.", "Incorrect API key: [secret]."),
        ('{"key":"sk-Abcdefghijklmnop1234"}', '{"key":"[secret]"}'),
        ("key%3Dsk-Abcdefghijklmnop1234", "key%3D[secret]"),
        ("http://host/#room=demo&code=q0ZlAbcdefghijklmnop", "http://host/#room=demo&code=[secret]"),
        ("exit code=1", "exit code=1"),
        ("LiveKit refused the API secret", "LiveKit refused the API secret"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, told: str) -> None:
    assert masked(text) == told
    assert masked(told) == told


@pytest.mark.parametrize(
    "words",
    [
        "liba_audible_duration_seconds_bucket",
        "liba_utterances_total",
        "a task-oriented-way-of-2 disk-usage-Monitors",
    ],
)
def test_names_that_begin_like_a_secret_are_told(words: str) -> None:
    assert masked(words) == words


def test_configured_secrets_are_taken_out_wherever_they_stand() -> None:
    assert (
        masked("a long-secret-2 and long-secret", ["long-secret", "long-secret-2"])
        == "a [secret] and [secret]"
    )


def test_an_address_is_shown_without_who_logs_in_there() -> None:
    assert without_password("https://user:pass@host/v1") == "https://[secret]@host/v1"
    assert without_password("https://host/v1") == "https://host/v1"


def test_all_kinds_of_configured_secrets_are_found() -> None:
    settings = Settings(
        livekit_api_secret=SecretStr("secret-1"),
        openai_base_url="http://user:secret-2%2B@host/v1",
        tavus_base_url="http://secret/5@[broken",
        tavus_api_key=SecretStr("short"),
    )
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": "a=Bearer%20secret-3,b=secret-4", "OTHER": "x=not-this"}
    found = secrets_of(settings, environment)
    headers = {"Bearer%20secret-3", "Bearer secret-3", "secret-4"}
    assert set(found) == {"secret-1", "secret-2%2B", "secret-2+", "secret/5", *headers}


def test_the_password_in_an_address_that_is_secret_itself_is_found_too() -> None:
    settings = Settings(redis_url=SecretStr("redis://liba:pass-of-redis@cache.test:6379/0"))
    assert masked("AUTH liba pass-of-redis failed", secrets_of(settings, {})) == "AUTH liba [secret] failed"
