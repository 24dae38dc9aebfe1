"""What every request passes before it is looked at, and what every answer carries. Plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.web.problems import Problem, problem_response

MAX_BODY_BYTES = 16 * 1024

_BODY_TIMEOUT_S = 10.0
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def install(app: FastAPI, settings: Settings, *, address: str, host_is_loopback: bool) -> None:
    """Puts the doors before `app`; the last one here is the first one that a request meets."""
    is_local_only = host_is_loopback and not settings.serve_keys
    app.add_middleware(BodyDoor)
    app.add_middleware(OriginDoor, allowed=(address, *settings.serve_origins))
    if settings.serve_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.serve_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )
    if is_local_only:
        app.add_middleware(HostDoor)
    app.state.headers = _HEADERS | {"Content-Security-Policy": _policy(settings)}
    if address.startswith("https:"):
        app.state.headers["Strict-Transport-Security"] = "max-age=31536000"
    app.add_middleware(SafeAnswers, headers=app.state.headers)


class SafeAnswers:
    """Adds the headers that tell a browser what not to do with an answer."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))

        async def send_safely(message: Message) -> None:
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

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


class HostDoor:
    """Answers only who calls this machine by its own name.

    Else a website could have its own name point here, and then speak for whoever looks at it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_loopback(f"http://{Headers(scope=scope).get('host', '')}"):
            problem = Problem(
                421,
                "wrong_host",
                "without API keys this server answers only as localhost or 127.0.0.1",
                hint="make a key: liba serve --new-key NAME",
            )
            await problem_response(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class OriginDoor:
    """Refuses what a page of another website would have done here."""

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self._app = app
        self._allowed = {_origin(url) for url in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS and self._is_foreign(scope):
            problem = Problem(
                403,
                "foreign_origin",
                "pages of other websites may not call this server",
                hint="list the website in serve.origins",
            )
            await problem_response(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or _origin(origin) in self._allowed:
            return False
        # Not the scheme: behind a proxy that speaks TLS only the browser knows it.
        return not origin.startswith("http") or origin.partition("://")[2] != headers.get("host")


class BodyDoor:
    """Reads a request's body, at most 16 KiB of JSON, before anybody else sees the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(receive)
            if body and not _is_json(Headers(scope=scope).get("content-type", "")):
                raise Problem(415, "unsupported_media_type", "the body must be application/json")
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        except ConnectionError:  # nobody is there any more who could be answered
            return
        await self._app(scope, _replay(body, receive), send)


async def _body(receive: Receive) -> bytes:
    """Raises Problem, and ConnectionError when the client has left."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionError
                body += bytes(message.get("body", b""))
                if len(body) > MAX_BODY_BYTES:
                    raise Problem(413, "too_large", f"the body may have {MAX_BODY_BYTES} bytes")
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body did not come within {_BODY_TIMEOUT_S:g} s") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _policy(settings: Settings) -> str:
    """Nothing but what the page consists of, and the LiveKit server."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self'{_livekit(settings.livekit_url)}",
            "media-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _livekit(url: str) -> str:
    """The server that the page connects to; LiveKit Cloud has more than one name."""
    host = urlsplit(url).netloc
    if not host:
        return ""
    server = LiveKitCredentials(url, "", SecretStr(""))
    origins = f" {_origin(server.ws_url)} {_origin(server.http_url)}"
    if host.endswith(".livekit.cloud"):
        origins += " wss://*.livekit.cloud https://*.livekit.cloud"
    return origins
