"""What a request asks for, in whichever way proxies write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ORIGIN = re.compile(rb"https?://([^/]+)", re.IGNORECASE)
_SLASHES = re.compile(rb"/{2,}")


class RequestTargetMiddleware:
    """Finds the path in a request's target: after an origin (RFC 9112, section 3.2.2), which counts as the
    host then, with slashes that a proxy doubled, and below `prefix`, where one mounts this server.

    Proxies that take the prefix away and those that leave it there are served alike. A slash that is written
    as %2F is a part of a name and stays as it is.
    """

    def __init__(self, app: ASGIApp, prefix: str, headers: Mapping[str, str]) -> None:
        """`headers` are those of an answer that no other middleware sees."""
        self._app = app
        self._prefix = quote(prefix, safe="/%").encode()
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        target = bytes(scope.get("raw_path") or quote(scope["path"]).encode())
        origin = _ORIGIN.match(target)
        path = _SLASHES.sub(b"/", target[origin.end() :] if origin else target) or b"/"
        if self._prefix and path == self._prefix:  # what the page loads lies below it
            redirect = RedirectResponse(f"{self._prefix.decode()}/", 308, self._headers)
            await redirect(scope, receive, send)
            return
        if self._prefix and path.startswith(self._prefix + b"/"):
            path = path.removeprefix(self._prefix)
        if path != target:
            scope = {**scope, "raw_path": path, "path": unquote(path.decode("ascii"))}
        if origin:
            others = [header for header in scope["headers"] if header[0] != b"host"]
            scope = {**scope, "headers": [(b"host", origin[1]), *others]}
        await self._app(scope, receive, send)
