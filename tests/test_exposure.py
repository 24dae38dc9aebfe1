from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.checks.exposure import exposure
from libacli.exposure import exposures, guess

GOOD = "q8Zr3vK1xT0mW5yB7nC2pL9dF4gH6jSaEuIoXzQw"
ELSEWHERE = "wss://news.livekit.cloud"


def settings_of(**fields: Any) -> Settings:
    return Settings(**fields)


ADDRESSES = [
    ("ws://127.0.0.1:7880", False),
    ("ws://localhost:7880", False),
    ("http://[::1]:7880", False),
    ("http://127.8.8.8", False),
    ("wss://news.livekit.cloud", False),
    ("https://10.0.0.7", False),
    ("ws://10.0.0.7:7880", True),
    ("ws://192.168.1.2:7880", True),
    ("ws://livekit:7880", True),
    ("http://news.example", True),
    ("HTTP://news.example", True),
    ("ws://[2001:db8::1]:7880", True),
    ("http://localhost.example", True),
    ("http://127.0.0.1.example", True),
    ("http://127.0.0.1@news.example/v1", True),
    ("http://user:password@news.example/v1", True),
    ("http://[", True),
    ("https://[", False),
]


@pytest.mark.parametrize(
    "field", ["livekit_url", "livekit_public_url", "openai_base_url", "tavus_base_url", "serve_public_url"]
)
@pytest.mark.parametrize(("address", "is_exposed"), ADDRESSES)
def test_what_goes_to_another_machine_in_the_clear_is_told(
    field: str, address: str, is_exposed: bool
) -> None:
    found = exposures(settings_of(**{field: address}))
    assert bool(found) is is_exposed
    assert "password" not in repr(found)
    if found:
        assert field.replace("_", ".", 1) in found[0].message
        assert found[0].fix in (
            "have it speak TLS, and write wss://",
            "have it speak TLS, and write https://",
        )


@pytest.mark.parametrize(
    ("secret", "how"),
    [
        ("secret", "is shorter than 32 characters"),
        ("devkey", "is shorter than 32 characters"),
        (GOOD[:31], "is shorter than 32 characters"),
        ("0" * 64, "repeats itself"),
        ("0123456789" * 4, "repeats itself"),
        ("secret-secret-secret-secret-secret-", "repeats itself"),
        ("abababababababababababababababababababac", "repeats itself"),
        ("your-livekit-api-secret-of-32-characters", "is from an example"),
        ("ChangeMe-0123456789-abcdefghijklmnopqrstuvwxyz", "is from an example"),
        ("<put-a-long-secret-here-with-32-characters>", "is from an example"),
        (GOOD, ""),
        (GOOD[:32], ""),
    ],
)
def test_a_secret_that_can_be_guessed_is_told(secret: str, how: str) -> None:
    assert guess(secret) == how
    found = exposures(settings_of(livekit_url=ELSEWHERE, livekit_api_secret=SecretStr(secret)))
    assert [one.message.startswith(f"livekit.api_secret {how}") for one in found] == ([True] if how else [])
    assert secret not in repr(found) or secret == "secret"


@given(st.integers(min_value=24, max_value=64))
def test_no_random_secret_is_taken_for_one_that_can_be_guessed(size: int) -> None:
    assert guess(secrets.token_hex(size)) == guess(secrets.token_urlsafe(size)) == ""


@pytest.mark.parametrize(
    ("places", "is_told"),
    [
        ({}, False),
        ({"livekit_url": "ws://127.0.0.1:7880"}, False),
        ({"livekit_url": ELSEWHERE}, True),
        ({"livekit_url": "ws://127.0.0.1:7880", "serve_host": "0.0.0.0"}, True),
        ({"livekit_url": "ws://127.0.0.1:7880", "serve_host": "::"}, True),
        ({"livekit_url": "ws://127.0.0.1:7880", "serve_host": "::1"}, False),
        ({"livekit_url": "ws://127.0.0.1:7880", "serve_public_url": "https://page.example"}, True),
        ({"livekit_url": "ws://127.0.0.1:7880", "serve_public_url": "http://localhost:8080"}, False),
    ],
)
@pytest.mark.parametrize("field", ["livekit_api_secret", "livekit_previous_api_secret"])
def test_a_secret_for_this_machine_alone_may_be_any(
    field: str, places: dict[str, str], is_told: bool
) -> None:
    assert bool(exposures(settings_of(**{field: SecretStr("secret")}, **places))) is is_told


def test_the_doctor_fails_with_all_of_them_and_what_to_do() -> None:
    finding = exposure(settings_of(livekit_url="ws://livekit:7880", livekit_api_secret=SecretStr("secret")))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert "livekit.api_secret is shorter than 32 characters" in finding.message
    assert "livekit.url is ws://livekit:7880: " in finding.message
    assert finding.fix == (
        "make a new one for the server: livekit-server generate-keys; have it speak TLS, and write wss://"
    )
    assert exposure(settings_of(livekit_url=ELSEWHERE, livekit_api_secret=SecretStr(GOOD))).verdict == "ok"
