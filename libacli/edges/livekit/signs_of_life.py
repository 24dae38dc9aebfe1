"""How the agents of a worker show it that they live: each second, by a line of their own, without LiveKit.

Asking a hundred agents over LiveKit's API every few seconds would use up a project's whole quota. A room is a
process (or thread) of its own that may hang or be killed: then the signs stop. That it is connected it knows
itself; whether it can be reached as well, somebody has to ask now and then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path

from livekit import rtc

from libacli.core.protocol import AGENT_ATTRIBUTE
from libacli.edges.socket_folder import socket_folder

logger = logging.getLogger("liba.supervisor")

_EVERY_S = 1.0
_FRESH_S = 3.5
"""A busy machine may be some seconds late; who has shown nothing for longer is asked."""

_FORGOTTEN_AT_ONCE = 2


class SignsOfLife:
    """The worker's end: which of its rooms are well. Nobody is while it does not listen."""

    def __init__(self) -> None:
        self.address: Path | None = None
        """Where agents are to show that they live; None: nobody listens."""

        self._seen_at: dict[str, float] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Takes signs of life. What it cannot have costs calls to LiveKit, and nothing else."""
        async with AsyncExitStack() as stack:
            try:
                own = await asyncio.to_thread(socket_folder)
                stack.push_async_callback(asyncio.to_thread, own.cleanup)
                address = Path(own.name) / "life"
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Ear(self), local_addr=str(address), family=socket.AF_UNIX
                )
                stack.callback(transport.close)
                self.address = address
            except OSError as error:
                logger.warning("agents cannot show that they live (%s): each is asked over LiveKit", error)
            try:
                yield
            finally:
                self.address = None

    def is_well(self, room: str) -> bool:
        """Whether the agent of `room` has shown of late that it is connected and takes requests."""
        seen_at = self._seen_at.get(room)
        return seen_at is not None and _now() < seen_at + _FRESH_S

    def see(self, sign: bytes) -> None:
        """A sign has come."""
        told = json.loads(sign)
        self._seen_at.pop(told["room"], None)
        if told["is_well"]:
            self._seen_at[told["room"]] = _now()
        for room in list(islice(self._seen_at, _FORGOTTEN_AT_ONCE)):  # those that were seen longest ago
            if not self.is_well(room):
                del self._seen_at[room]


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, signs: SignsOfLife) -> None:
        self._signs = signs

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            self._signs.see(data)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("a sign of life is not understood", exc_info=error)


async def show_life(room: rtc.Room, address: Path) -> None:
    """Shows at `address` each second whether the agent of `room` is connected and ready, until cancelled."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        while True:
            sign = json.dumps({"room": room.name, "is_well": _is_well(room)}).encode()
            try:
                line.sendto(sign, str(address))
            except OSError as error:  # the worker asks over LiveKit then
                logger.debug("no sign of life was taken: %s", error)
            await asyncio.sleep(_EVERY_S)


def _is_well(room: rtc.Room) -> bool:
    is_connected = room.connection_state == rtc.ConnectionState.CONN_CONNECTED
    return is_connected and AGENT_ATTRIBUTE in room.local_participant.attributes


def _now() -> float:
    return asyncio.get_running_loop().time()
