"""Addresses of speech servers as people copy them: with a query, with the path of the request, Azure's.

Azure OpenAI has two kinds (https://learn.microsoft.com/azure/ai-foundry/openai/reference,
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle):

    https://NAME.openai.azure.com/openai/v1                                             as OpenAI's own
    https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2025-03-01-preview
                                                                           and the key in header api-key
"""

from __future__ import annotations

import re

import httpx2

OPENAI_URL = "https://api.openai.com/v1"
_PATH = "/audio/speech"
_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+")
_AZURE_HOST = re.compile(r"\.(azure\.com|azure-api\.net|azure\.us|azure\.cn)$")

AZURE_KEY = "api-key"
_AZURE_VERSION = "api-version"


def split_address(base_url: str) -> tuple[str, dict[str, str]]:
    """The address without what belongs to single requests, and its query. OpenAI's own when it is empty."""
    url = httpx2.URL(base_url or OPENAI_URL)
    path = url.path.rstrip("/").removesuffix(_PATH)
    return str(url.copy_with(path=path, query=None)), dict(url.params)


def is_azure_deployment(base_url: str) -> bool:
    """Whether it is an address of Azure's older kind."""
    return bool(_DEPLOYMENT.search(httpx2.URL(base_url).path))


def azure_hint(status: int, request: httpx2.Request) -> str:
    """What Azure misses in a request that it answered with `status`; empty for another server, or reason."""
    url = request.url
    if is_azure_deployment(str(url)):
        if status == 404 and _AZURE_VERSION not in url.params:
            return "Azure wants a version: OPENAI_QUERY=api-version=2025-03-01-preview"
        if status == 404:
            return "check the name of the deployment in OPENAI_BASE_URL, and the version in OPENAI_QUERY"
        if status == 401 and AZURE_KEY not in request.headers:
            return "Azure wants the key in a header: OPENAI_HEADERS=api-key=..."
    elif status == 404 and _AZURE_HOST.search(url.host) and not url.path.startswith("/openai/v1/"):
        return (
            f"set OPENAI_BASE_URL=https://{url.host}/openai/v1, and voice.model to the name of the deployment"
        )
    return ""


def told_address(url: httpx2.URL) -> str:
    """An address as it may be shown: who logs in there, and the query, may be secret."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))
