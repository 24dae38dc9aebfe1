"""What stands before the nodes of a cluster: `python -m tests.live.cluster.balancer ADDRESS PORT NODE…`.

Passes each connection on to the next node, `ADDRESS:PORT` each, that takes it. No other health is asked for.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import cycle, islice

_READ_BYTES = 65_536
_CONNECT_TIMEOUT_S = 1.0
"""A node whose machine is cut off does not even refuse."""


async def _connect(nodes: Iterator[str], count: int) -> tuple[StreamReader, StreamWriter] | None:
    for node in islice(nodes, count):
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


async def main(address: str, port: int, nodes: Sequence[str]) -> None:
    turn = cycle(nodes)

    async def take(near_in: StreamReader, near_out: StreamWriter) -> None:
        if far := await _connect(turn, len(nodes)):
            far_in, far_out = far
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(near_in, far_out))
                both.create_task(_pass_on(far_in, near_out))
        near_out.transport.abort()

    server = await asyncio.start_server(take, address, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
