"""An HTTP proxy that leads to one port of this machine, whatever name is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.socks_proxy import pass_on


@dataclass
class HttpProxy:
    """`asked` are the places that it was to lead to, as `HOST:PORT`; `logins` what came with it, or None."""

    leads_to: int
    port: int = 0
    asked: list[str] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.splitlines()[0].split()
        fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        self.logins.append({name.lower(): value for name, value in fields.items()}.get("proxy-authorization"))
        self.asked.append(target if method == "CONNECT" else urlsplit(target).netloc)
        if not self.leads_to:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = urlsplit(target)._replace(scheme="", netloc="").geturl()
            there_writer.write(head.replace(target, path, 1).encode())
        async with asyncio.TaskGroup() as both:
            both.create_task(pass_on(reader, there_writer))
            both.create_task(pass_on(there_reader, writer))


@asynccontextmanager
async def http_proxy(leads_to: int = 0) -> AsyncIterator[HttpProxy]:
    """One that runs as long as the body; without a port it says 502."""
    proxy = HttpProxy(leads_to)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    async with server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
