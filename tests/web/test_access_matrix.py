"""Who may call what: every route, every kind of caller, every kind of server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from starlette.routing import BaseRoute, Mount, Route

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway

KEY, ENTRY = new_key("laptop")
WRONG_KEY, _ = new_key("laptop")
SPEECH = {"text": "Hello.", "room": "demo"}
ROOM = {"room": "demo"}
QUEUE = "/api/rooms/{room}/queue"
NEXT = {"id": "own"}
TO_FIRST = {"to": "first"}


@dataclass(frozen=True)
class Row:
    """A request that touches the room `demo`, if it touches any."""

    needs: str
    """Who may send it: `anybody`, a `caller`, who may `watch` the room, who may `say` something there, who
    may `control` it too, whose `own` the server is."""

    method: str
    route: str
    status: int
    """When it is let in."""

    asks: str = ""
    """The method of the gateway that it comes to then."""

    body: dict[str, Any] | None = None
    path: str = ""
    """Where it is not just the route."""

    sound: bytes = b""
    """The body, where that is a file."""

    def sent(self, body: dict[str, Any] | None, headers: dict[str, str]) -> dict[str, Any]:
        """What a client is told to send."""
        if self.sound:
            return {"content": self.sound, "headers": headers | {"Content-Type": "audio/wav"}}
        return {"json": body, "headers": headers}

    def __str__(self) -> str:
        return f"{self.method} {self.path or self.route} {' '.join(self.body or ())}".strip()


ROWS = (
    Row("anybody", "GET", "/", 200),
    Row("anybody", "GET", "/static/{path}", 200, path="/static/index.html"),
    Row("anybody", "GET", "/openapi.json", 200),
    Row("anybody", "GET", "/docs", 200),
    Row("anybody", "GET", "/healthz", 200),
    Row("anybody", "GET", "/readyz", 200, "check"),
    Row("anybody", "GET", "/api/page", 200),
    Row("anybody", "POST", "/api/session", 200, body={"code": "the right one"}),
    Row("caller", "GET", "/metrics", 200),
    Row("caller", "DELETE", "/api/session", 200),
    Row("own", "GET", "/api/sessions", 200),
    Row("own", "DELETE", "/api/sessions/{name}", 200, path="/api/sessions/that of somebody"),
    Row("watch", "POST", "/api/token", 200, "join", ROOM),
    Row("watch", "POST", "/token", 200, "join", ROOM),
    Row("watch", "GET", "/token", 200, "join", path="/token?room=demo"),
    Row("watch", "GET", "/api/say/{id}", 200, "report", path="/api/say/known?room=demo"),
    Row("watch", "GET", "/api/rooms/{room}", 200, "status", path="/api/rooms/demo"),
    Row(
        "watch", "GET", "/api/rooms/{room}/captions.vtt", 200, "updates", path="/api/rooms/demo/captions.vtt"
    ),
    Row(
        "watch", "GET", "/api/rooms/{room}/captions.srt", 200, "updates", path="/api/rooms/demo/captions.srt"
    ),
    Row("watch", "GET", "/api/events", 200, "updates", path="/api/events?room=demo&captions=true"),
    Row("watch", "POST", "/api/link", 200, body=ROOM),
    Row("say", "POST", "/api/say", 202, "say", SPEECH),
    Row("say", "POST", "/say", 202, "say", SPEECH),
    Row("say", "POST", "/api/say", 202, "say", SPEECH | {"priority": -1}),
    Row("say", "POST", "/api/say/audio", 202, "say_sound", path="/api/say/audio?room=demo", sound=b"RIFF"),
    Row(
        "control",
        "POST",
        "/api/say/audio",
        202,
        "say_sound",
        path="/api/say/audio?room=demo&interrupt=true",
        sound=b"RIFF",
    ),
    Row("control", "POST", "/api/stop", 200, "stop", ROOM),
    Row("say", "DELETE", f"{QUEUE}/{{id}}", 200, "cancel", path="/api/rooms/demo/queue/own"),
    Row("control", "POST", f"{QUEUE}/{{id}}/move", 200, "move", TO_FIRST, "/api/rooms/demo/queue/own/move"),
    Row("control", "POST", f"{QUEUE}/pause", 200, "pause", path="/api/rooms/demo/queue/pause"),
    Row("control", "POST", f"{QUEUE}/resume", 200, "pause", path="/api/rooms/demo/queue/resume"),
    Row("control", "POST", "/api/rooms/{room}/next", 200, "next", NEXT, "/api/rooms/demo/next"),
    Row("control", "POST", "/api/say", 202, "say", SPEECH | {"interrupt": True}),
    Row("control", "POST", "/say", 202, "say", SPEECH | {"priority": 1}),
    Row("control", "POST", "/api/token", 200, "join", ROOM | {"can_control": True}),
    Row("control", "POST", "/api/link", 200, body=ROOM | {"can_control": True}),
    Row("say", "POST", "/api/token", 200, "join", ROOM | {"can_say": True}),
    Row("say", "POST", "/token", 200, "join", ROOM | {"can_say": True}),
    Row("say", "POST", "/api/link", 200, body=ROOM | {"can_say": True}),
)

MAY = {
    "nothing": ("anybody",),
    "little": ("anybody", "caller"),
    "watch": ("anybody", "caller", "watch"),
    "say": ("anybody", "caller", "watch", "say"),
    "control": ("anybody", "caller", "watch", "say", "control"),
    "own": ("anybody", "caller", "watch", "say", "control", "own"),
}

REFUSALS = {"nothing": (401, "unauthorized"), "little": (403, "other_room"), "watch": (403, "watch_only")}
FOR_SOME = {"own": (403, "owner_only"), "control": (403, "no_control")}
"""What who was let in is told of what he may not do."""

SERVERS = ("loopback without keys", "loopback with keys", "other bind with keys")

CALLERS = {
    "no key": ("own", "nothing", "nothing"),
    "wrong key": ("nothing", "nothing", "nothing"),
    "right key": ("nothing", "own", "own"),  # without keys none is right
    "session for this room": ("control", "control", "control"),
    "session of an audience": ("say", "say", "say"),
    "session for another room": ("little", "little", "little"),
    "watch-only session": ("watch", "watch", "watch"),
}
"""What each of them may do on each of the servers."""


@asynccontextmanager
async def calling(server: str, gateway: FakeGateway) -> AsyncIterator[tuple[WebApp, httpx2.AsyncClient]]:
    """A server of this kind, and somebody who reaches it from where it can be reached."""
    settings = Settings(serve_keys=() if "without" in server else (ENTRY,))
    is_loopback = server.startswith("loopback")
    address = "http://127.0.0.1:8080" if is_loopback else "http://192.0.2.1:8080"
    app = make_app(settings, gateway, address=address, host_is_loopback=is_loopback)
    client = "127.0.0.1" if is_loopback else "192.0.2.2"
    async with connected(app, client=client, base_url=address) as web:
        yield app, web


async def headers_of(caller: str, app: WebApp) -> dict[str, str]:
    if caller == "no key":
        return {}
    if caller.endswith(" key"):
        return {"Authorization": f"Bearer {KEY if caller == 'right key' else WRONG_KEY}"}
    room = "lobby" if "another room" in caller else "demo"
    can_say = "watch-only" not in caller
    return await enter(app, room, can_say=can_say, can_control=can_say and "audience" not in caller)


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and template of all that can be called, shown in OpenAPI or not."""
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", route.path_format
        else:
            assert isinstance(route, Route)
            yield from ((method, route.path_format) for method in (route.methods or set()) - {"HEAD"})


def test_every_route_has_a_row(app: WebApp) -> None:
    assert set(routes_of(app.routes)) == {(row.method, row.route) for row in ROWS}


def test_every_route_that_is_described_is_among_them(app: WebApp) -> None:
    described = {
        (method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods
    }
    assert described <= set(routes_of(app.routes))
    assert len(described) > 10


def test_what_needs_a_caller_says_so_in_its_description(app: WebApp) -> None:
    paths = app.openapi()["paths"]
    for row in ROWS:
        if operation := paths.get(row.route, {}).get(row.method.lower()):
            assert bool(operation.get("security")) == (row.needs != "anybody"), row


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("server", SERVERS)
async def test_who_may_is_let_in_and_for_nobody_else_is_livekit_asked(
    gateway: FakeGateway, server: str, caller: str, row: Row
) -> None:
    reports = gateway.comes("demo").reports
    reports["known"] = {"id": "known", "state": "done"}
    reports["own"] = {"id": "own", "state": "accepted"}
    may = CALLERS[caller][SERVERS.index(server)]
    async with calling(server, gateway) as (app, client):
        headers = await headers_of(caller, app)
        body, path = row.body, row.path or row.route
        if row.route == "/api/session" and row.body:
            body = {"code": (await app.services.sessions.new_code("demo", can_say=True)).secret}
        if row.route == "/api/sessions/{name}":
            await enter(app, "demo", can_say=False)
            path = f"/api/sessions/{(await app.services.sessions.all())[-1].name}"
        asyncio.get_running_loop().call_later(1, app.services.feeds.end)  # events would go on for ever
        answer = await client.request(row.method, path, **row.sent(body, headers))
    if row.needs in MAY[may]:
        assert answer.status_code == row.status, answer.text
        assert gateway.calls[:1] == [row.asks][: bool(row.asks)]
    else:
        assert gateway.calls == []
        told = (answer.status_code, answer.json()["reason"])
        if may == "nothing":
            assert told == REFUSALS[may]
        else:
            assert told in (FOR_SOME.get(row.needs), REFUSALS.get(may))
        assert answer.headers.get("www-authenticate") == ("Bearer" if answer.status_code == 401 else None)


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_a_page_of_another_port_or_website_comes_to_no_route(
    gateway: FakeGateway, site: str, row: Row
) -> None:
    foreign = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}
    async with calling("loopback without keys", gateway) as (app, client):
        asyncio.get_running_loop().call_later(
            1, app.services.feeds.end
        )  # let in, events would go on for ever
        for headers in (foreign, {"Origin": "http://127.0.0.1:8888"}):
            sent = row.sent(row.body, headers)
            answer = await client.request(row.method, row.path or row.route, **sent)
            assert (answer.status_code, answer.json()["reason"]) == (403, "foreign_origin")
    assert gateway.calls == []


@pytest.mark.parametrize("path", ["/api/token", "/token", "/api/say", "/say"])
@pytest.mark.parametrize("server", SERVERS[1:])
async def test_fault_08_an_unauthenticated_token_or_say_is_refused_and_livekit_is_never_asked(
    gateway: FakeGateway, server: str, path: str
) -> None:
    attempts: list[dict[str, Any]] = [
        {},
        {"headers": {"Authorization": f"Bearer {WRONG_KEY}"}},
        {"headers": {"Authorization": ENTRY}},
        {"headers": {"X-Api-Key": KEY}},
        {"headers": {"Cookie": f"Authorization=Bearer {KEY}"}},
        {"params": {"key": KEY, "token": KEY, "access_token": KEY}},  # an address is logged everywhere
    ]
    async with calling(server, gateway) as (_, client):
        for attempt in attempts:
            answer = await client.post(path, json=SPEECH if path.endswith("say") else ROOM, **attempt)
            assert (answer.status_code, answer.json()["reason"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert KEY not in answer.text
        assert gateway.calls == []
        body = SPEECH if path.endswith("say") else ROOM
        answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.is_success
    assert gateway.calls
