from __future__ import annotations

import httpx2
import pytest

from libacli.edges.voices.openai_address import azure_hint, split_address, told_address


@pytest.mark.parametrize(
    ("given", "address", "query"),
    [
        ("", "https://api.openai.com/v1", {}),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1", {}),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", {}),
        ("http://127.0.0.1:8000/v1/audio/speech", "http://127.0.0.1:8000/v1", {}),
        ("http://user:p%40ss@host/v1", "http://user:p%40ss@host/v1", {}),
        ("https://host", "https://host", {}),
        (
            "https://a.openai.azure.com/openai/deployments/tts/audio/speech?api-version=2025-03-01-preview",
            "https://a.openai.azure.com/openai/deployments/tts",
            {"api-version": "2025-03-01-preview"},
        ),
    ],
)
def test_an_address_is_taken_as_people_copy_it(given: str, address: str, query: dict[str, str]) -> None:
    assert split_address(given) == (address, query)


@pytest.mark.parametrize(
    ("status", "address", "headers", "hint"),
    [
        (
            404,
            "https://x.openai.azure.com/openai/deployments/tts/audio/speech",
            {},
            "OPENAI_QUERY=api-version=",
        ),
        (404, "http://gateway/openai/deployments/tts/audio/speech", {}, "OPENAI_QUERY=api-version="),
        (
            404,
            "http://gateway/openai/deployments/tts/audio/speech?api-version=1",
            {},
            "name of the deployment",
        ),
        (
            401,
            "http://gateway/openai/deployments/tts/audio/speech?api-version=1",
            {},
            "OPENAI_HEADERS=api-key=",
        ),
        (401, "http://gateway/openai/deployments/tts/audio/speech", {"api-key": "k"}, ""),
        (
            404,
            "https://x.openai.azure.com/audio/speech",
            {},
            "OPENAI_BASE_URL=https://x.openai.azure.com/openai/v1",
        ),
        (404, "https://x.openai.azure.com/openai/v1/audio/speech", {}, ""),
        (404, "https://api.openai.com/v1/audio/speech", {}, ""),
        (403, "https://x.openai.azure.com/openai/deployments/tts/audio/speech", {}, ""),
    ],
)
def test_azure_s_refusals_name_what_is_missing(
    status: int, address: str, headers: dict[str, str], hint: str
) -> None:
    found = azure_hint(status, httpx2.Request("POST", address, headers=headers))
    assert hint in found and bool(hint) == bool(found)


def test_an_address_is_shown_without_login_and_query() -> None:
    assert told_address(httpx2.URL("http://user:pass@host:1/v1/x?code=1")) == "http://host:1/v1/x"
