from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

import pytest

from libacli.core.entry import Session
from libacli.errors import StoreError
from libacli.web.memory_stores import MemorySessions
from libacli.web.session_streams import SessionStreams, StreamEnd
from libacli.web.sessions import Sessions
from tests.web.entering import enter, new_guest


class Store(MemorySessions):
    """It can be out of reach."""

    is_gone = False

    async def kept(self, digests: Collection[str]) -> set[str]:
        if self.is_gone:
            raise StoreError("gone")
        return await super().kept(digests)


class Items:
    """One each two seconds, without end; closed as whoever reads them has to."""

    def __init__(self) -> None:
        self.is_closed = False

    async def all(self) -> AsyncGenerator[int]:
        try:
            number = 0
            while True:
                await asyncio.sleep(2)
                number += 1
                yield number
        finally:
            self.is_closed = True


async def read(end: StreamEnd, items: Items) -> list[int]:
    async with aclosing(items.all()) as given:
        return [item async for item in end.cut(given)]


async def lasted(streams: SessionStreams, session: Session | None, end: StreamEnd | None = None) -> float:
    """Seconds until a stream of `session` has ended by itself."""
    began = asyncio.get_running_loop().time()
    end, items = end or StreamEnd(), Items()
    with streams.one_more(session, end):
        await read(end, items)
    assert items.is_closed
    return asyncio.get_running_loop().time() - began


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def sessions(store: Store) -> Sessions:
    return Sessions(asyncio.get_running_loop().time, store)


async def test_a_stream_ends_when_its_time_is_over_though_nothing_comes(sessions: Sessions) -> None:
    assert await lasted(SessionStreams(sessions), None, StreamEnd(7.5)) == 7.5
    assert await read(StreamEnd(7.5), Items()) == [1, 2, 3]


async def test_within_a_second_a_stream_ends_whose_session_was_ended_and_no_other(
    sessions: Sessions,
) -> None:
    streams = SessionStreams(sessions)
    _, host = await enter(sessions)
    (_, guest), (_, stranger) = await new_guest(sessions, host), await enter(sessions)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(streams.run())
        ending, guests = (tasks.create_task(lasted(streams, session)) for session in (host, guest))
        going_on = [tasks.create_task(lasted(streams, session)) for session in (stranger, None)]
        await asyncio.sleep(4.5)
        await sessions.end(host)
        assert (await ending, await guests) == (5, 5)
        await asyncio.sleep(60)
        assert not any(task.done() for task in going_on)
        for task in (*going_on, running):
            task.cancel()


async def test_where_it_was_ended_it_is_over_at_once(sessions: Sessions) -> None:
    streams = SessionStreams(sessions)
    _, session = await enter(sessions)
    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(lasted(streams, session))
        await asyncio.sleep(4.5)
        await sessions.end(session)
        await streams.end_those_that_are_over()
        assert await ending == 4.5


async def test_while_it_is_not_known_who_is_let_in_no_stream_ends(sessions: Sessions, store: Store) -> None:
    streams = SessionStreams(sessions)
    _, session = await enter(sessions)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(streams.run())
        ending = tasks.create_task(lasted(streams, session))
        await asyncio.sleep(0.5)
        store.is_gone = True
        await sessions.end(session)
        await asyncio.sleep(100)
        assert not ending.done()
        store.is_gone = False
        assert await ending == pytest.approx(101, abs=1)
        running.cancel()
