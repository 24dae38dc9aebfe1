"""What lies between a participant and its server, to be cut: signalling, not the media, which is UDP."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

_READ_BYTES = 65_536


@dataclass
class Wire:
    """Passes connections on to `host`:`port`. While it is cut, the ones there are gone and new ones fail."""

    host: str
    port: int
    is_cut: bool = False
    _open: set[StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def near_port(self) -> int:
        """Port of 127.0.0.1 to connect to instead."""
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[Self]:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self.cut()
            self._server.close()
            await self._server.wait_closed()

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def _connected(self, near_in: StreamReader, near_out: StreamWriter) -> None:
        if self.is_cut:
            near_out.transport.abort()
            return
        with suppress(OSError):
            far_in, far_out = await asyncio.open_connection(self.host, self.port)
            ends = {near_out, far_out}
            self._open |= ends
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(near_in, far_out))
                    both.create_task(_pass_on(far_in, near_out))
            finally:
                self._open -= ends
        near_out.transport.abort()


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    """Until one of the two ends is closed; closes the target then."""
    with suppress(OSError):
        while read := await source.read(_READ_BYTES):
            target.write(read)
            await target.drain()
    target.close()
