"""What every answer carries that tells a browser what not to do with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.config import LiveKitCredentials, Settings
from libacli.errors import ConfigError

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_NO_FRAME = "'none'"
_HOST = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*"
_EMBEDDER = re.compile(rf"(?:https?://{_HOST}|https://\*\.[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::[0-9]{{1,5}})?")
"""An origin as the policy takes it: https://www.w3.org/TR/CSP3/#framework-directive-source-list"""

_ONLY_TLS = "max-age=31536000"
"""A year, the least that lists of such websites take: https://hstspreload.org"""


def security_headers(settings: Settings, address: str) -> dict[str, str]:
    """Those of a server that is reached at `address`. Raises ConfigError for embedders that are none."""
    headers = _ALWAYS | {"Content-Security-Policy": _content_security_policy(settings)}
    if settings.serve_embed:  # this older header can name no website; a browser that knows no policy shows it
        del headers["X-Frame-Options"]
    if address.startswith("https:"):
        headers["Strict-Transport-Security"] = _ONLY_TLS
    return headers


class SecurityHeadersMiddleware:
    """Adds `headers` to every answer, those of other middleware included."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                if path == "/docs":  # its viewer writes style attributes
                    policy = headers["Content-Security-Policy"]
                    headers["Content-Security-Policy"] = policy.replace(
                        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
                    )
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _content_security_policy(settings: Settings) -> str:
    """Nothing but what the page consists of, and the LiveKit server."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self'{_livekit_sources(settings.livekit_public_url or settings.livekit_url)}",
            "media-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {_frame_ancestors(settings)}",
        )
    )


def _frame_ancestors(settings: Settings) -> str:
    """The websites whose pages may show this one in a frame."""
    embedders = [origin.lower() for origin in settings.serve_embed]
    for origin in embedders:
        if not _EMBEDDER.fullmatch(origin):
            raise ConfigError(
                f"serve.embed: {origin!r} is not the origin of a website",
                hint="list origins, without a path: https://example.org, http://localhost:3000 or https://*.example.org",
            )
    return " ".join(embedders) or _NO_FRAME


def _livekit_sources(url: str) -> str:
    """The server that the page connects to; LiveKit Cloud has more than one name."""
    host = urlsplit(url).netloc.lower()
    if not host:
        return ""
    server = LiveKitCredentials(url, "", SecretStr(""))
    schemes = [address.partition(":")[0] for address in (server.ws_url, server.http_url)]
    hosts = [host, "*.livekit.cloud"] if host.endswith(".livekit.cloud") else [host]
    return "".join(f" {scheme}://{name}" for name in hosts for scheme in schemes)
