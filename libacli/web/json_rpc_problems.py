"""Problems at the address of the tools for models, told as JSON-RPC has it: their clients read nothing else.

Of any other body a model is told no more than that there was an error, and cannot act on it.
"""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.web.problems import MEDIA_TYPE

_SERVER_ERROR = -32000
"""The first that JSON-RPC leaves to servers: https://www.jsonrpc.org/specification#error_object"""


class JsonRpcProblemsMiddleware:
    """Has problems of `path` answered as JSON-RPC errors, status and headers as they are. Plain ASGI.

    The message is for the model; `data` has all members of the problem.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) != self._path:
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_translated(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                if MutableHeaders(scope=message).get("content-type") != MEDIA_TYPE:
                    await send(message)
                    return
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    answer = _json_rpc(json.loads(body)) if body else b""
                    headers = MutableHeaders(scope=start)
                    headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(answer))
                    await send(start)
                    await send({**message, "body": answer})

        await self._app(scope, receive, send_translated)


def _json_rpc(problem: dict[str, Any]) -> bytes:
    again = f" (again in {ceil(problem['retry_in_s'])} s)" if problem.get("retry_in_s") else ""
    hint = f" - {problem['hint']}" if problem.get("hint") else ""
    error = {"code": _SERVER_ERROR, "message": f"{problem['detail']}{again}{hint}", "data": problem}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
