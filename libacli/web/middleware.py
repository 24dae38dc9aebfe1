"""What every request passes before it is looked at. Plain ASGI."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.config import Settings, is_loopback
from libacli.core.messages import MAX_REQUEST_BYTES, parse_json
from libacli.errors import ConfigError, RefusedError
from libacli.web.problems import Problem, problem_of, problem_response
from libacli.web.security_headers import SecurityHeadersMiddleware

MAX_BODY_BYTES = MAX_REQUEST_BYTES
"""An agent takes no request that is larger: there is nothing to gain by reading more."""

_BODY_TIMEOUT_S = 10.0
"""The largest body in this time is 6.4 KiB a second, which any line carries; a client that sends more slowly
holds a connection on purpose."""

_WEBSITE = re.compile(r"https?://[^\s/?#@*]+(?=[/?#]|$)")
_FOREIGN_SITES = ("cross-site", "same-site")
"""As browsers say it (https://www.w3.org/TR/fetch-metadata/): the second is another port of this machine, a
notebook for instance, or another name of the same domain. Neither is this server's page."""

_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"),
    *("Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name"),
    *("traceparent", "tracestate"),
)
"""The last two come from pages that are traced, with all they ask for; those before from models in pages:
https://modelcontextprotocol.io/specification/draft/basic/transports/streamable-http
"""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Those that change nothing (RFC 9110, section 9.2.1), without TRACE, which no route has."""


def add_middleware(
    app: FastAPI,
    settings: Settings,
    *,
    address: str,
    host_is_loopback: bool,
    security_headers: Mapping[str, str],
    file_paths: tuple[str, ...] = (),
) -> None:
    """Puts all of it before `app`; the last one here is the first one that a request meets.

    What is sent to `file_paths` is a file, and received by who answers there. Raises ConfigError for an
    origin in `settings` that is none.
    """
    is_local_only = host_is_loopback and not settings.serve_keys
    origins = [_origin(url) for url in settings.serve_origins]
    app.add_middleware(RequestBodyMiddleware, file_paths=file_paths)
    app.add_middleware(HeadMiddleware)
    own = (_origin(address), *origins)
    app.add_middleware(OriginCheckMiddleware, allowed=own, may_be_embedded=bool(settings.serve_embed))
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_HEADERS,
            expose_headers=["Location", "Retry-After"],
        )
    if is_local_only:
        app.add_middleware(LoopbackHostMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, headers=security_headers)


class HeadMiddleware:
    """Answers HEAD as GET, without the body: watchers and link previews ask so whether somebody is there.

    Not what is below `/api`, where an answer may be a stream, or the work of an agent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_empty(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        if scope["type"] != "http" or scope["method"] != "HEAD" or _path(scope).startswith("/api/"):
            await self._app(scope, receive, send)
        else:
            await self._app({**scope, "method": "GET"}, receive, send_empty)


class LoopbackHostMiddleware:
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


class OriginCheckMiddleware:
    """Refuses what a page of another website would have done here.

    It may lead its visitor here, by a link; it may not change, nor start, anything. A frame is a link too
    where some website may embed the page: which one, the browser knows from the policy in the answer.
    """

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...], *, may_be_embedded: bool = False) -> None:
        self._app = app
        self._allowed = allowed
        self._links = ("document", "iframe") if may_be_embedded else ("document",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_foreign(scope["method"], Headers(scope=scope)):
            problem = Problem(
                403,
                "foreign_origin",
                "pages of other websites may not call this server",
                hint="list the website in serve.origins",
            )
            await problem_response(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, method: str, headers: Headers) -> bool:
        origin = headers.get("origin", "").lower()
        if origin in self._allowed:
            return False
        if method in _SAFE_METHODS and headers.get("sec-fetch-dest") in self._links:
            return False
        # Not the scheme: behind a proxy that speaks TLS only the browser knows it.
        own = headers.get("host", "").lower()
        if origin and origin not in (f"http://{own}", f"https://{own}"):
            return True
        # No origin is named where a page loads something and does not want the answer itself.
        return headers.get("sec-fetch-site") in _FOREIGN_SITES


class RequestBodyMiddleware:
    """Reads a request's body, at most 64 KiB of JSON, before anybody else sees the request.

    It goes on as UTF-8, whichever encoding of Unicode it came in (RFC 4627, section 3). A file, to one of
    `file_paths`, is left to who knows how large it may be, and who may send it.
    """

    def __init__(self, app: ASGIApp, file_paths: tuple[str, ...] = ()) -> None:
        self._app = app
        self._file_paths = file_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_without = scope["type"] != "http" or scope["method"] in _SAFE_METHODS
        if is_without or _path(scope) in self._file_paths:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read_body(receive)
            if body:
                body = _checked(body, Headers(scope=scope))
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        except ConnectionError:  # nobody is there any more who could be answered
            return
        await self._app(scope, _replay_body(body, receive), send)


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


async def _read_body(receive: Receive) -> bytes:
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


def _replay_body(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _checked(body: bytes, headers: Headers) -> bytes:
    """`body`, which is JSON, as UTF-8. Raises Problem."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Problem(
            415,
            "unsupported_media_type",
            "the body is compressed, which is not supported",
            hint="send it as it is, without the header Content-Encoding",
        )
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(
            415,
            "unsupported_media_type",
            "the body must be JSON, and the request say so",
            hint="send it with the header Content-Type: application/json",
        )
    try:
        source = body.decode(json.detect_encoding(body))
        parse_json(source)
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: byte {error.start + 1} is no part of a character"
        hint = "JSON is UTF-8, whatever charset the Content-Type names"
        raise Problem(422, "malformed", detail, hint=hint) from error
    except RefusedError as error:
        raise problem_of(error) from error
    return source.encode()


def _origin(url: str) -> str:
    """The origin of `url`, as browsers write it. Raises ConfigError."""
    if not (website := _WEBSITE.match(url.lower())):
        raise ConfigError(
            f"{url!r} is not the address of a website",
            hint="serve.origins and serve.public_url are like this: https://example.org",
        )
    return website[0]
