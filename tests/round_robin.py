"""A balancer: hands each connection on to the next of its servers, by turns.

`python -m tests.round_robin URL...` prints its address, and runs until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from urllib.parse import urlsplit


class RoundRobin:
    """`async with RoundRobin(urls) as balancer: balancer.url`. It adds no header, and looks at none."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._servers = cycle([(address.hostname, address.port) for address in map(urlsplit, urls)])
        self._server: asyncio.Server | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> RoundRobin:
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _hand_on(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._under_way.add(task)
        with suppress(OSError, asyncio.CancelledError):
            try:
                from_server, to_server = await asyncio.open_connection(*next(self._servers))
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_pump(from_client, to_server))
                    tasks.create_task(_pump(from_server, to_client))
            finally:
                to_client.close()
        self._under_way.discard(task)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; then the sink's connection ends too."""
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        return
    finally:
        sink.close()


async def main(urls: list[str]) -> None:
    async with RoundRobin(urls) as balancer:
        sys.stdout.write(json.dumps([balancer.url]) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
