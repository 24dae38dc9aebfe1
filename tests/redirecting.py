"""A server that sends every caller to another one, which notes what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Redirecting:
    """Both servers, while they run."""

    status: int
    """HTTP status of every answer: 301, 302, 303, 307 or 308."""

    asked: list[str] = field(default_factory=list)
    """Method and path of each request that came in."""

    carried: list[str] = field(default_factory=list)
    """Each request that was taken to the other place: method, path, headers and body."""

    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def redirecting(status: int) -> AsyncIterator[Redirecting]:
    """Two servers on free ports of 127.0.0.1; the second stands for another host."""
    told = Redirecting(status)

    async def send_on(request: web.Request) -> web.Response:
        told.asked.append(f"{request.method} {request.path}")
        elsewhere = f"http://127.0.0.1:{other}{request.path_qs}"
        return web.Response(status=status, headers={"Location": elsewhere})

    async def take(request: web.Request) -> web.Response:
        told.carried.append(f"{request.method} {request.path} {dict(request.headers)} {await request.text()}")
        return web.json_response({"conversation_id": "c1", "data": [], "participants": []})

    async with _served(take) as other, _served(send_on) as told.port:
        yield told


@asynccontextmanager
async def _served(handler: object) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
