"""What stands before the nodes of a cluster: `python -m tests.live.cluster.balancer ADDRESS PORT NODE…`.

Passes each connection on to the next node, `ADDRESS:PORT` each, that takes it. No other health is asked for.
The port after PORT leads to the first node as long as that takes connections, the one after that to the
second, and so on.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import cycle, islice

_READ_BYTES = 65_536
_CONNECT_TIMEOUT_S = 1.0
"""A node whose machine is cut off does not even refuse."""


async def _connect(nodes: Iterable[str]) -> tuple[StreamReader, StreamWriter] | None:
    for node in nodes:
        host, _, port = node.rpartition(":")
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                return await asyncio.open_connection(host, int(port))
    return None


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    """Until one of the two ends is closed; closes the target then."""
    with suppress(OSError):
        while read := await source.read(_READ_BYTES):
            target.write(read)
            await target.drain()
    target.close()


async def _serve(address: str, port: int, order: Callable[[], Iterable[str]]) -> asyncio.Server:
    """`order`: which nodes the next connection may go to."""

    async def take(near_in: StreamReader, near_out: StreamWriter) -> None:
        if far := await _connect(order()):
            far_in, far_out = far
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(near_in, far_out))
                both.create_task(_pass_on(far_in, near_out))
        near_out.transport.abort()

    return await asyncio.start_server(take, address, port)


async def main(address: str, port: int, nodes: Sequence[str]) -> None:
    turn = cycle(nodes)
    for number in range(len(nodes)):
        near_first = [*nodes[number:], *nodes[:number]]
        await _serve(address, port + 1 + number, lambda nodes=near_first: nodes)  # type: ignore[misc]
    server = await _serve(address, port, lambda: islice(turn, len(nodes)))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
