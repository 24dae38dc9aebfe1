"""When an avatar leaves: both stand-ins for Tavus go when people do, whatever agents do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from livekit import rtc

from libacli.edges.livekit.fakes import FakeRoom
from libacli.local.avatar_presence import Invitation, Presence
from tests.faulty_participant import left_alone

Stay = Callable[[rtc.Room, Invitation], Awaitable[str]]


async def _local(room: rtc.Room, invitation: Invitation) -> str:
    return await Presence(room).over(invitation)


@pytest.fixture(params=[_local, left_alone], ids=["local", "faulty"])
def stay(request: pytest.FixtureRequest) -> Iterator[Stay]:
    yield request.param


def now() -> float:
    return asyncio.get_running_loop().time()


def at(delay_s: float, step: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(delay_s, step)


def invitation(*, left_timeout_s: float = 0.0, absent_timeout_s: float = 300.0) -> Invitation:
    return Invitation("ws://room", "token", left_timeout_s, absent_timeout_s)


async def test_it_waits_five_minutes_for_somebody_to_come_though_agents_do(stay: Stay) -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    at(100, lambda: room.join("another", is_agent=True))
    assert await stay(room.as_sdk(), invitation()) == "participant_absent_timeout reached"
    assert now() == 300


async def test_it_leaves_at_once_with_the_last_viewer_and_not_with_the_agent(stay: Stay) -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    room.join("one")
    at(1, lambda: room.leave("agent"))
    at(2, lambda: room.join("two"))
    at(3, lambda: room.leave("one"))
    at(900, lambda: room.leave("two"))
    assert await stay(room.as_sdk(), invitation()) == "participant_left_timeout reached"
    assert now() == 900


async def test_a_viewer_who_is_back_within_the_timeout_keeps_it_however_often(stay: Stay) -> None:
    room = FakeRoom()
    for reload in range(20):
        at(20 * reload, lambda: room.join("viewer"))
        at(20 * reload + 11, lambda: room.leave("viewer"))
    at(395, lambda: room.join("another", is_agent=True))
    assert await stay(room.as_sdk(), invitation(left_timeout_s=10)) == "participant_left_timeout reached"
    assert now() == 401


async def test_the_time_to_wait_for_a_viewer_is_not_that_to_wait_for_him_to_come_back(stay: Stay) -> None:
    room = FakeRoom()
    at(8, lambda: room.join("viewer"))
    at(9, lambda: room.leave("viewer"))
    there = invitation(absent_timeout_s=10, left_timeout_s=30)
    assert await stay(room.as_sdk(), there) == "participant_left_timeout reached"
    assert now() == 39


async def test_a_room_that_closes_is_left(stay: Stay) -> None:
    room = FakeRoom()
    room.join("viewer")
    at(5, room.lose_connection)
    assert await stay(room.as_sdk(), invitation()) == "room_closed"
    assert now() == 5
