from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Message

from libacli.config import Settings
from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.room_update import WELL, Caption, RoomUpdate
from libacli.web import stream
from libacli.web.auth import Caller
from libacli.web.dependencies import authenticated_caller
from libacli.web.feed import PING_S, Feeds
from libacli.web.problems import add_problem_handlers
from libacli.web.services import WebApp, make_services

FACTS = AgentFacts("demo", "liba", "hibari", "ready", epoch="e1")
AGENT = AgentStatus(FACTS)


def done(utterance_id: str) -> Event:
    return Event(FACTS, Report(utterance_id, "done"), t0=1.0)


class Rooms:
    """A gateway that tells of each room what it is told to, one thing a second."""

    def __init__(self, *updates: RoomUpdate) -> None:
        self.told = updates
        self.left = 0

    async def updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        try:
            for item in self.told:
                await asyncio.sleep(1)
                yield item
            await asyncio.Event().wait()
        finally:
            self.left += 1

    async def status(self, room: str) -> AgentStatus | None:
        return AGENT


class Connection:
    """One client of the app, as a server has it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.leave = asyncio.Event()
        self.takes = asyncio.Event()
        """Whether the client takes what it is sent."""

        self.takes.set()
        self._pieces: asyncio.Queue[str] = asyncio.Queue()

    async def receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self._pieces.put_nowait(message["body"].decode())

    async def piece(self) -> str:
        """The next piece of the answer, which ends with an empty one."""
        async with asyncio.timeout(2 * PING_S):
            return await self._pieces.get()


@asynccontextmanager
async def serving(*updates: RoomUpdate, rooms: Rooms | None = None, **settings: Any) -> AsyncIterator[WebApp]:
    """An app that follows one room at most."""
    gateway: Any = rooms or Rooms(*updates)
    shared = make_services(
        Settings(**settings), gateway, voices=(), address="http://127.0.0.1:8080", host_is_loopback=True
    )
    app = WebApp(replace(shared, feeds=Feeds(gateway, limit=1)))
    app.include_router(stream.router)
    add_problem_handlers(app, {})
    yield app
    await app.services.feeds.aclose()


@asynccontextmanager
async def connected(app: WebApp, query: str = "", **headers: str) -> AsyncIterator[Connection]:
    """A client that asks for events, and leaves at the end."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/events",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 50000),
    }
    connection = Connection()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app(scope, connection.receive, connection.send))
        try:
            yield connection
        finally:
            connection.leave.set()


def fields(piece: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in piece.splitlines() if line)


async def test_it_begins_with_when_to_come_again_and_may_not_be_kept() -> None:
    async with serving(WELL) as app, connected(app) as connection:
        assert await connection.piece() == "retry: 2000\n\n"
        assert connection.status == 200
        assert connection.headers["content-type"].startswith("text/event-stream")
        assert connection.headers["cache-control"] == "no-store, no-transform"


async def test_each_event_has_an_id_a_kind_and_one_line_of_json() -> None:
    text = 'Two\nlines, a "quote", an é and\u2028more.'
    async with (
        serving(AGENT, done("u1"), Caption("u1", text)) as app,
        connected(app, "captions=true") as connection,
    ):
        await connection.piece()
        pieces = [fields(await connection.piece()) for _ in range(3)]
    assert [piece["event"] for piece in pieces] == ["status", "utterance", "caption"]
    assert json.loads(pieces[1]["data"]) == done("u1").encode()
    assert json.loads(pieces[2]["data"]) == {"id": "u1", "text": text}
    assert len({piece["id"] for piece in pieces}) == 3


async def test_the_room_is_the_one_that_is_asked_for_else_that_of_the_settings() -> None:
    async with serving(AGENT, say_room="lobby") as app, connected(app) as connection:
        await connection.piece()
        assert json.loads(fields(await connection.piece())["data"])["room"] == "lobby"
    async with serving(AGENT) as app, connected(app, "room=hall") as connection:
        await connection.piece()
        assert json.loads(fields(await connection.piece())["data"])["room"] == "hall"


async def test_while_nothing_happens_a_comment_keeps_it_open() -> None:
    async with serving() as app, connected(app) as connection:
        await connection.piece()
        assert await connection.piece() == ": ping\n\n"


async def test_one_who_comes_again_goes_on_after_the_last_event_that_he_got() -> None:
    async with serving(WELL, done("u1"), done("u2")) as app:
        async with connected(app) as connection:
            await connection.piece()
            await connection.piece()
            seen = fields(await connection.piece())
        async with connected(app, last_event_id=seen["id"]) as connection:
            await connection.piece()
            assert json.loads(fields(await connection.piece())["data"])["id"] == "u2"


async def test_a_client_that_leaves_is_forgotten() -> None:
    rooms = Rooms(WELL)
    async with serving(rooms=rooms) as app:
        async with connected(app) as connection:
            await connection.piece()
            assert app.services.metrics.streams._value.get() == 1
        assert app.services.metrics.streams._value.get() == 0
        await asyncio.sleep(31)
        assert rooms.left == 1


async def test_a_client_that_takes_nothing_is_dropped() -> None:
    async with serving(WELL, *[done("u1")] * 5) as app, connected(app) as connection:
        await connection.piece()
        connection.takes.clear()
        await asyncio.sleep(29)
        assert app.services.metrics.streams._value.get() == 1
        await asyncio.sleep(2 + PING_S)
        assert app.services.metrics.streams._value.get() == 0


async def test_nothing_is_told_once_the_session_is_over() -> None:
    async def guest() -> Caller:
        return Caller("session 1", "demo", False, valid_for_s=2.5)

    async with serving(*[done("u1")] * 5) as app:
        app.dependency_overrides[authenticated_caller] = guest
        async with connected(app) as connection:
            pieces = [await connection.piece() for _ in range(4)]
    assert [piece[:2] for piece in pieces] == ["re", "id", "id", ""]


async def test_when_the_server_stops_the_stream_ends() -> None:
    async with serving(WELL) as app, connected(app) as connection:
        await connection.piece()
        await connection.piece()
        app.services.feeds.end()
        assert await connection.piece() == ""


async def test_one_room_too_many_is_a_problem_and_no_stream() -> None:
    async with serving(WELL) as app, connected(app, "room=one") as first:
        await first.piece()
        async with connected(app, "room=two") as second:
            problem = json.loads(await second.piece())
    assert (second.status, problem["reason"]) == (503, "too_many_rooms")


async def test_a_caller_has_four_streams_and_another_one_once_one_is_left() -> None:
    async with serving(WELL) as app, AsyncExitStack() as stack:
        for _ in range(3):
            await (await stack.enter_async_context(connected(app))).piece()
        async with connected(app) as fourth:
            await fourth.piece()
            async with connected(app) as fifth:
                problem = json.loads(await fifth.piece())
            assert (fifth.status, problem["reason"]) == (429, "too_many_streams")
        async with connected(app) as next_one:
            assert await next_one.piece() == "retry: 2000\n\n"


async def test_a_stream_that_was_refused_counts_no_more() -> None:
    async with serving(WELL) as app, connected(app, "room=one") as first:
        await first.piece()
        for _ in range(6):
            async with connected(app, "room=two") as second:
                assert json.loads(await second.piece())["reason"] == "too_many_rooms"


@pytest.mark.parametrize("query", ["captions=perhaps"])
async def test_a_query_that_makes_no_sense_is_a_problem(query: str) -> None:
    async with serving() as app, connected(app, query) as connection:
        assert json.loads(await connection.piece())["status"] == 422
