"""A real server over a gateway in memory, in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.bounded_http import bound_connections
from libacli.web.connection_gate import ConnectionGate
from tests.web.fake_gateway import FakeGateway


@asynccontextmanager
async def serving(
    gateway: FakeGateway, settings: Settings | None = None, *, path: str = ""
) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """The port of a server that ends at the end of the block, if it has not been told to before.

    It is reached at `path` of its address.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
        app = make_app(settings or Settings(), gateway, address=f"http://127.0.0.1:{port}{path}")
        config = uvicorn.Config(app, http="h11", ws="none", log_config=None, timeout_graceful_shutdown=2)
        config.load()
        bound_connections(config, ConnectionGate())
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]))
            yield port, server
            app.services.feeds.end()
            server.should_exit = True
