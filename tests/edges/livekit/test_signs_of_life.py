"""An agent shows its worker that it lives; one that hangs, is cut off or not ready does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc

from libacli.core.protocol import AGENT_ATTRIBUTE
from libacli.edges.livekit.fakes import FakeRoom
from libacli.edges.livekit.signs_of_life import SignsOfLife, show_life

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def alive(signs: SignsOfLife, room: FakeRoom) -> AsyncIterator[asyncio.Task[None]]:
    assert signs.address
    async with asyncio.TaskGroup() as tasks:
        showing = tasks.create_task(show_life(room.as_sdk(), signs.address))
        yield showing
        showing.cancel()


def ready(name: str = "demo") -> FakeRoom:
    room = FakeRoom(name)
    room.local_participant.attributes[AGENT_ATTRIBUTE] = "liba"
    return room


async def test_who_works_is_well_until_he_shows_nothing_more() -> None:
    signs = SignsOfLife()
    async with signs.listening():
        async with alive(signs, ready()):
            for _ in range(30):
                await asyncio.sleep(0.9)
                assert signs.is_well("demo")
            assert not signs.is_well("elsewhere")
        await asyncio.sleep(3.6)
        assert not signs.is_well("demo")


@pytest.mark.parametrize(
    "state", [rtc.ConnectionState.CONN_RECONNECTING, rtc.ConnectionState.CONN_DISCONNECTED]
)
async def test_who_is_cut_off_says_so(state: rtc.ConnectionState.ValueType) -> None:
    signs, room = SignsOfLife(), ready()
    async with signs.listening(), alive(signs, room):
        await asyncio.sleep(0.5)
        assert signs.is_well("demo")
        room.state_when_connected = state
        await asyncio.sleep(1)
        assert not signs.is_well("demo")
        room.state_when_connected = rtc.ConnectionState.CONN_CONNECTED
        await asyncio.sleep(1)
        assert signs.is_well("demo")


async def test_who_is_not_ready_is_not_well() -> None:
    signs = SignsOfLife()
    async with signs.listening(), alive(signs, FakeRoom("demo")):
        await asyncio.sleep(2.5)
        assert not signs.is_well("demo")


async def test_a_worker_that_does_not_listen_disturbs_no_agent() -> None:
    signs = SignsOfLife()
    async with signs.listening():
        address = signs.address
    assert address
    assert signs.address is None
    async with asyncio.TaskGroup() as tasks:
        showing = tasks.create_task(show_life(ready().as_sdk(), address))
        await asyncio.sleep(10)
        assert not showing.done()
        showing.cancel()


@pytest.mark.parametrize(
    "sign", [b"", b"{", b"[]", b'{"room": "demo"}', b'{"room": [], "is_well": true}', b"\xff"]
)
async def test_what_is_no_sign_is_passed_over(sign: bytes, caplog: pytest.LogCaptureFixture) -> None:
    signs = SignsOfLife()
    async with signs.listening(), alive(signs, ready()):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(sign, str(signs.address))
        await asyncio.sleep(2)
        assert signs.is_well("demo")
    assert "not understood" in caplog.text


async def test_rooms_that_are_gone_are_forgotten() -> None:
    signs = SignsOfLife()
    async with signs.listening():
        for number in range(50):
            async with alive(signs, ready(f"room-{number}")):
                await asyncio.sleep(1)
        assert len(signs._seen_at) <= 5


async def test_without_a_place_for_the_line_the_worker_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/there-is-no-such-folder")
    signs = SignsOfLife()
    async with signs.listening():
        assert signs.address is None
        assert not signs.is_well("demo")
    assert "each is asked over LiveKit" in caplog.text
