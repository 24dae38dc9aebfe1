"""The cable between two machines, as a process: `python -m tests.relay '{"near": …, "far": …}'`.

Each end is a TUN device in a network namespace. What comes out of one is put into the other as `Impairment`
says. Prints a line `ready` when the cable is there, and what it did, as JSON, when it gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import heapq
import json
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass

from tests.impairment import Conditions, Impairment

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MOST_BYTES = 65_536
_GONE = (errno.EIO, errno.EBADFD)
"""A device whose machine is being taken away."""

_PRIORITY = 1
"""Of real-time scheduling: what this process is late by would come on top of what it was told to delay by."""


@dataclass
class Counts:
    """What a relay did to one direction."""

    passed: int = 0
    lost: int = 0
    delayed_ms: float = 0.0
    """Mean of the packets that were passed on, the relay's own lateness included."""

    late_ms: float = 0.0
    """The most by which this process passed one on later than it was due: how busy the machine was."""

    def add(self, taken_s: float, late_s: float) -> None:
        self.passed += 1
        self.delayed_ms += (1000 * taken_s - self.delayed_ms) / self.passed
        self.late_ms = max(self.late_ms, 1000 * late_s)


class Direction:
    """Passes packets from one device to another, each when its time has come."""

    def __init__(self, source: int, target: int, impairment: Impairment) -> None:
        self.counts = Counts()
        self._source, self._target = source, target
        self._impairment = impairment
        self._waiting: list[tuple[float, int, float, bytes]] = []
        """When due, a number that keeps the order, when it came."""

        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._source, self._take)

    def _take(self) -> None:
        now = asyncio.get_running_loop().time
        with suppress(BlockingIOError):
            while packet := os.read(self._source, _MOST_BYTES):
                came_at = now()
                due = self._impairment.due_s(came_at)
                if due is None:
                    self.counts.lost += 1
                    continue
                self._number += 1
                heapq.heappush(self._waiting, (due, self._number, came_at, packet))
        self._pass_on()

    def _pass_on(self) -> None:
        """All that is due by now; comes again when the next one is."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            due, _, came_at, packet = heapq.heappop(self._waiting)
            self._write(packet)
            self.counts.add(loop.time() - came_at, loop.time() - due)
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_at(self._waiting[0][0], self._pass_on) if self._waiting else None

    def _write(self, packet: bytes) -> None:
        try:
            os.write(self._target, packet)
        except OSError as error:
            if error.errno not in _GONE:
                raise


@dataclass(frozen=True)
class Cable:
    """What a relay is told. Addresses are of machines, names of network namespaces."""

    near: str
    near_address: str
    far: str
    far_address: str
    number: int
    """Of this relay, where one machine has several: its end has it in its name."""

    seed: int
    downlink: Conditions
    """From near to far."""

    uplink: Conditions

    def lay(self) -> tuple[int, int]:
        """Makes both ends; file descriptors of the near and the far one."""
        near = _device(self.near, f"far{self.number}", self.near_address, self.far_address)
        far = _device(self.far, "far0", self.far_address, self.near_address)
        return near, far

    @classmethod
    def read(cls, text: str) -> Cable:
        told = json.loads(text)
        downlink, uplink = (Conditions(**told.pop(name)) for name in ("downlink", "uplink"))
        return cls(**told, downlink=downlink, uplink=uplink)


def _device(namespace: str, name: str, address: str, peer: str) -> int:
    """A TUN device of that name in `namespace`, which reaches `peer` and nobody else."""
    made_as = f"lbt{os.getpid()}t"
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", made_as.encode(), _IFF_TUN | _IFF_NO_PI))
    inside = ("ip", "-n", namespace)
    for command in (
        ("ip", "link", "set", made_as, "netns", namespace, "name", name),
        (*inside, "link", "set", name, "addrgenmode", "none"),  # no packets but ours
        (*inside, "address", "add", address, "peer", peer, "dev", name),
        (*inside, "link", "set", name, "up"),
    ):
        subprocess.run(command, check=True)
    return device


async def relay(cable: Cable) -> dict[str, Counts]:
    """Passes packets on until SIGTERM; what it did."""
    near, far = cable.lay()
    directions = {
        "downlink": Direction(near, far, Impairment(cable.downlink, f"{cable.seed} downlink")),
        "uplink": Direction(far, near, Impairment(cable.uplink, f"{cable.seed} uplink")),
    }
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    for direction in directions.values():
        direction.start()
    print("ready", flush=True)  # noqa: T201
    await ended.wait()
    return {name: direction.counts for name, direction in directions.items()}


if __name__ == "__main__":
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    done = asyncio.run(relay(Cable.read(sys.argv[1])))
    print(json.dumps({name: asdict(counts) for name, counts in done.items()}), flush=True)  # noqa: T201
