"""A SOCKS 5 proxy (RFC 1928) that leads to one port of this machine, whatever name is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_DOMAIN = 3
_CONNECTED = b"\x05\x00\x00\x01" + bytes(6)


@dataclass
class SocksProxy:
    """`asked` are the names that it was to connect to, each with its port."""

    leads_to: int
    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")  # nobody has to log in
        *_, kind, length = await reader.readexactly(5)
        assert kind == _DOMAIN, "the name is for the proxy to look up"
        name = await reader.readexactly(length)
        self.asked.append((name.decode(), int.from_bytes(await reader.readexactly(2), "big")))
        writer.write(_CONNECTED)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        async with asyncio.TaskGroup() as both:
            both.create_task(pass_on(reader, there_writer))
            both.create_task(pass_on(there_reader, writer))


@asynccontextmanager
async def socks_proxy(leads_to: int) -> AsyncIterator[SocksProxy]:
    """One that runs as long as the body."""
    proxy = SocksProxy(leads_to)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    async with server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
    writer.close()
