"""The client of OpenAI's API, and of any server that speaks the same, as liba uses it."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2
import openai

from libacli.config import Settings
from libacli.config_values import pairs_of
from libacli.edges.by_proxy import transport_to
from libacli.edges.voices.openai_address import AZURE_KEY, is_azure_deployment, split_address
from libacli.errors import ConfigError

_KEEPALIVE_S = 180.0
"""An idle connection is kept so long: a line after a quiet minute pays no new handshake. Well below the four
minutes after which common routers forget a connection without a word."""

_CONNECT_TIMEOUT_S = 5.0


def client_of(settings: Settings) -> openai.AsyncOpenAI:
    """The client that the settings `openai.…` describe; see `open_client`. Raises ConfigError."""
    try:
        return open_client(
            settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
            settings.openai_base_url,
            headers=pairs_of(settings.openai_headers),
            query=pairs_of(settings.openai_query),
            organization=settings.openai_org_id,
            project=settings.openai_project_id,
        )
    except httpx2.InvalidURL as error:
        raise ConfigError(
            "OPENAI_BASE_URL is not an address", hint="it begins with http:// or https://"
        ) from error


def open_client(
    api_key: str,
    base_url: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    organization: str = "",
    project: str = "",
    http_client: httpx2.AsyncClient | None = None,
) -> openai.AsyncOpenAI:
    """A client with connections that stay open while nothing is said.

    Needs no loop, and should not be called in a busy one: it reads the system's certificates (40 ms).
    `base_url` is OpenAI's own when empty; a server that wants no key may be given an empty one.
    `headers` and `query` go with each request. An Azure deployment gets the key as it wants it, besides.
    A proxy from the environment is passed by when the server is on this machine; raises ConfigError for one,
    or for certificates, that cannot be used.
    """
    base_url, own_query = split_address(base_url)
    named = {name.lower() for name in headers or ()}
    azure = (
        {AZURE_KEY: api_key} if api_key and AZURE_KEY not in named and is_azure_deployment(base_url) else {}
    )
    return openai.AsyncOpenAI(
        api_key=api_key or "none",
        base_url=base_url,
        organization=organization or None,
        project=project or None,
        default_headers={**azure, **(headers or {})},
        default_query={**own_query, **(query or {})},
        max_retries=0,  # a retry after the first byte would repeat the beginning; SpeechApiVoice knows when
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
        http_client=http_client or _http_client(base_url),
    )


def _http_client(base_url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE_S)
    return httpx2.AsyncClient(
        transport=transport_to(base_url, limits=limits),
        # A proxy that compresses has to collect first; sound is wanted as it comes.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
        follow_redirects=False,  # key and text belong to the address that the user gave
    )
