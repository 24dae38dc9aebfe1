"""What a service manager is told, at a real socket, on the test's own clock."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libacli.edges.livekit.background import in_background
from libacli.edges.orchestrator.service_manager import ServiceManager


class Manager:
    """Stands where systemd does."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address.replace("\0", "@"), "PATH": "/bin"}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address)

    def told(self) -> list[str]:
        """What has come since it was asked last."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@contextmanager
def managing(address: str) -> Iterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with managing(str(tmp_path / "notify")) as manager:
        yield manager


async def test_it_is_told_that_a_service_is_ready_and_that_it_stops(manager: Manager) -> None:
    service = ServiceManager(manager.environment)
    service.ready()
    service.stopping()
    assert manager.told() == ["READY=1", "STOPPING=1"]


async def test_an_abstract_socket_is_spoken_to_as_well() -> None:
    with managing(f"\0liba-test-{uuid.uuid4().hex}") as manager:
        ServiceManager(manager.environment).ready()
        assert manager.told() == ["READY=1"]


def test_children_do_not_inherit_it(manager: Manager) -> None:
    manager.environment |= {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    ServiceManager(manager.environment)
    assert manager.environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("pid", "is_for_us"), [("", True), (str(os.getpid()), True), ("1", False)], ids=["any", "own", "another"]
)
async def test_the_watchdog_hears_at_half_of_its_time_that_the_loop_goes_round(
    manager: Manager, pid: str, is_for_us: bool
) -> None:
    service = ServiceManager(manager.environment | {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": pid})
    service.ready()
    async with in_background(service.keep_told(lambda: "well")):
        await asyncio.sleep(7)
    beats = [message for message in manager.told() if "WATCHDOG=1" in message]
    assert len(beats) == (4 if is_for_us else 0)


async def test_the_status_is_told_when_it_changes_and_a_start_is_given_time(manager: Manager) -> None:
    service, status = ServiceManager(manager.environment), "loading"
    async with in_background(service.keep_told(lambda: status)):
        await asyncio.sleep(6)
        assert manager.told() == [
            "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=loading",
            "EXTEND_TIMEOUT_USEC=60000000",
        ]
        service.ready()
        await asyncio.sleep(5)
        status = "well"
        await asyncio.sleep(5)
    assert manager.told() == ["READY=1", "STATUS=well"]


async def test_without_a_manager_nothing_happens() -> None:
    service = ServiceManager({})
    service.ready()
    await service.keep_told(lambda: "nobody listens")


def test_a_manager_that_is_gone_costs_a_line(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    manager.close()
    Path(manager.environment["NOTIFY_SOCKET"]).unlink()
    ServiceManager(manager.environment).ready()
    assert caplog.messages == ["the service manager was not told READY=1: No such file or directory"]
