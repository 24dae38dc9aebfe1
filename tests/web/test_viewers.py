from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from libacli.core.entry import Session
from libacli.errors import UnreachableError
from libacli.web.problems import Problem
from libacli.web.sessions import SESSION_VALID_S, Sessions
from libacli.web.viewers import Viewers
from tests.web.entering import enter
from tests.web.fake_gateway import FakeGateway


class Server:
    """Sessions and their viewers, on the loop's clock."""

    def __init__(self) -> None:
        now = asyncio.get_running_loop().time
        self.gateway = FakeGateway()
        self.viewers = Viewers(self.gateway, max_valid_for_s=600, now=now)
        self.sessions = Sessions(now, on_end=self.viewers.dismiss)

    async def enter(self, *, room: str = "demo", watches: bool = True) -> Session:
        """A session; with a token, and in the room, if it `watches`."""
        _, session = await enter(self.sessions, room)
        if watches:
            await self.viewers.count_token(session, 600)
            self.gateway.present.add(session.identity)
        return session

    async def runs(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.viewers.run(self.sessions.end_expired))
            await asyncio.sleep(seconds)
            running.cancel()


async def refusal(server: Server, session: Session, wanted_s: float = 600) -> Problem:
    with pytest.raises(Problem) as caught:
        await server.viewers.count_token(session, wanted_s)
    return caught.value


@pytest.mark.parametrize("left_s", [600.5, 599.9, 90.0, 1.0])
async def test_no_token_outlasts_its_session(left_s: float) -> None:
    server = Server()
    session = await server.enter(watches=False)
    await asyncio.sleep(SESSION_VALID_S - left_s)
    for wanted_s in (86_400, 600, 5):
        assert await server.viewers.count_token(session, wanted_s) <= min(wanted_s, left_s, 600)


async def test_in_its_last_moment_a_session_gets_no_token() -> None:
    server = Server()
    session = await server.enter(watches=False)
    await asyncio.sleep(SESSION_VALID_S - 0.5)
    assert (await refusal(server, session)).status == 401


async def test_five_may_be_valid_at_a_time_and_when_one_expires_another_is_given() -> None:
    server = Server()
    session, other = await server.enter(watches=False), await server.enter(watches=False)
    for _ in range(5):
        await server.viewers.count_token(session, 600)
        await asyncio.sleep(10)
    problem = await refusal(server, session, 1)
    assert (problem.status, problem.reason, problem.retry_in_s) == (429, "too_many_tokens", 550)
    assert await server.viewers.live_tokens(session) == 5
    await server.viewers.count_token(other, 600)
    await asyncio.sleep(550)
    assert await server.viewers.count_token(session, 600) == 600
    assert (await refusal(server, session)).retry_in_s == 10


async def test_who_has_watched_is_put_out_when_his_session_is_ended() -> None:
    server = Server()
    gone, stays = await server.enter(), await server.enter()
    await server.sessions.end(gone)
    await server.viewers.put_out()
    assert server.gateway.removed == [("demo", gone.identity)]
    assert stays.identity in server.gateway.present


async def test_who_has_never_watched_is_not_looked_for() -> None:
    server = Server()
    await server.sessions.end(await server.enter(watches=False))
    await server.runs(60)
    assert server.gateway.calls == []


async def test_who_comes_back_with_a_token_is_put_out_again_until_no_token_lets_him_in() -> None:
    server = Server()
    await server.sessions.end(await server.enter())
    await server.runs(659)
    looks = len(server.gateway.removed)
    assert looks == pytest.approx(660 / 5, abs=1)
    await server.runs(120)
    assert len(server.gateway.removed) - looks <= 2
    assert await server.viewers._store.leaving() == []


async def test_who_watches_is_put_out_when_his_session_ends_by_itself() -> None:
    server = Server()
    session = await server.enter()
    await server.runs(SESSION_VALID_S - 1)
    assert server.gateway.removed == []
    await server.runs(10)
    assert ("demo", session.identity) in server.gateway.removed


async def test_the_viewers_of_a_room_are_put_out_by_one_look_into_it() -> None:
    server = Server()
    here = [await server.enter() for _ in range(3)]
    there = await server.enter(room="lobby")
    for session in (*here, there):
        await server.sessions.end(session)
    await server.viewers.put_out()
    assert server.gateway.calls == ["put_out"] * 2
    assert set(server.gateway.removed) == {
        *(("demo", session.identity) for session in here),
        ("lobby", there.identity),
    }


async def test_of_many_rooms_whose_sessions_have_ended_each_has_its_turn_and_few_are_asked_at_once() -> None:
    server = Server()
    sessions = [await server.enter(room=f"room-{number}") for number in range(10)]
    for session in sessions:
        await server.sessions.end(session)
    await server.runs(16)
    assert len(server.gateway.calls) == 12
    assert {room for room, _ in server.gateway.removed} == {session.room for session in sessions}
    await server.runs(700)
    assert await server.viewers._store.leaving() == []


@pytest.mark.parametrize("failure", [UnreachableError("LiveKit is gone"), KeyError("a defect")])
async def test_while_livekit_is_gone_nobody_is_forgotten(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    session = await server.enter()
    await server.sessions.end(session)
    server.gateway.failures["put_out"] = failure
    await server.runs(700)
    assert caplog.records
    del server.gateway.failures["put_out"]
    await server.runs(6)
    assert server.gateway.removed == [("demo", session.identity)]


class Slow(FakeGateway):
    """Takes its time; meanwhile others go on."""

    async def put_out(self, room: str, identities: Collection[str]) -> None:
        await asyncio.sleep(3)
        await super().put_out(room, identities)


async def test_two_looks_at_once_disturb_each_other_no_more_than_a_session_that_ends_meanwhile() -> None:
    server = Server()
    server.viewers = Viewers(slow := Slow(), max_valid_for_s=600, now=asyncio.get_running_loop().time)
    server.sessions = Sessions(asyncio.get_running_loop().time, on_end=server.viewers.dismiss)
    server.gateway = slow
    first, second = await server.enter(), await server.enter()
    await server.sessions.end(first)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(server.viewers.put_out())
        await asyncio.sleep(1)
        await server.sessions.end(second)
    await server.viewers.put_out()
    assert {identity for _, identity in slow.removed} == {first.identity, second.identity}
    await asyncio.sleep(1000)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(server.viewers.put_out())
    assert await server.viewers._store.leaving() == []
