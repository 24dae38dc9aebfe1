"""Answers whoever looks after a worker from outside: whether it lives, and whether it can take a room."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import aiohttp
from aiohttp import web

from libacli.errors import ConfigError

logger = logging.getLogger("liba.agent")

_SDK_TIMEOUT_S = 2.0
_KEEP_ALIVE_S = 15.0
_MOST_CONNECTIONS = 64
"""Whoever watches holds one or two; a process may have 1024 files open, and needs them for its rooms."""

_END_S = 1.0
"""For answers that are under way at the end."""


@dataclass(frozen=True)
class Part:
    """One thing that a worker needs before it can take a room."""

    ok: bool
    why: str
    """How it is, in words that anybody may read."""


Parts = Callable[[], Mapping[str, Part]]


class Probes:
    """`/healthz`, `/readyz`, and what livekit-agents' own server answers at `/` and `/worker`."""

    def __init__(self) -> None:
        self.parts: Parts = lambda: {"worker": Part(False, "it is starting")}
        """What the worker is made of, and how each part is now."""

        self.sdk_port: Callable[[], int] = lambda: 0
        """Where livekit-agents' own server listens on loopback; 0: not yet, or no more."""

    @asynccontextmanager
    async def answering(self, host: str, port: int) -> AsyncIterator[int]:
        """Answers on `host`, in this loop. Gives the port; 0: any free one. Raises ConfigError."""
        listening = await asyncio.to_thread(_bound, host, port)
        port = int(listening.getsockname()[1])
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SDK_TIMEOUT_S)) as self._sdk:
            runner = web.AppRunner(
                self._app(), access_log=None, keepalive_timeout=_KEEP_ALIVE_S, shutdown_timeout=_END_S
            )
            await runner.setup()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: _newest(runner), sock=listening)
            try:
                logger.info("health check: port %d of %s, /healthz and /readyz", port, host)
                yield port
            finally:
                server.close()
                await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/", self._of_sdk)
        app.router.add_get("/worker", self._of_sdk)
        return app

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})  # that it comes says it all: the loop goes round

    async def _readyz(self, request: web.Request) -> web.Response:
        parts = self.parts()
        is_ready = all(part.ok for part in parts.values())
        told = {
            "status": "ok" if is_ready else "not ready",
            "parts": {name: asdict(part) for name, part in parts.items()},
        }
        return web.json_response(told, status=200 if is_ready else 503)

    async def _of_sdk(self, request: web.Request) -> web.Response:
        try:
            async with self._sdk.get(f"http://127.0.0.1:{self.sdk_port()}{request.path}") as answer:
                body = await answer.read()
                return web.Response(body=body, status=answer.status, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=503, text="the worker is starting, or ending")


def _newest(runner: web.AppRunner) -> asyncio.Protocol:
    """One more connection, where there are too many in the place of the oldest: that one waits in vain."""
    server = runner.server
    assert server
    for oldest in server.connections[: 1 - _MOST_CONNECTIONS]:
        oldest.force_close()
    return server()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
    except OSError as error:
        raise ConfigError(
            f"cannot answer health checks on {host} port {port}: {_why(error)}",
            hint="agent.health_port and agent.health_host say where; port 0: any free one",
        ) from error


def _why(error: OSError) -> str:
    """In the system's words: Python's tell the address again. Of a name the number is none of these."""
    is_systems = error.errno is not None and error.errno > 0
    return os.strerror(error.errno) if is_systems and error.errno else error.strerror or str(error)
