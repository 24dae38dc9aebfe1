"""Ways in which proxies write what they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.services import WebApp
from tests.web.conftest import ADDRESS, connected
from tests.web.fake_gateway import FakeGateway


async def ask(app: WebApp, target: str, *, method: str = "GET", host: str = "127.0.0.1") -> int:
    """The status of the answer to a request whose target is written like that."""
    statuses = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.Event().wait()
        return body.pop()

    async def keep(message: Any) -> None:
        statuses.append(message.get("status"))

    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": httpx2.URL(f"http://x/{path}").path[1:],
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 50000),
    }
    await app(scope, receive, keep)
    return int(statuses[0])


@pytest.mark.parametrize(
    "target",
    [
        "/api/page",
        "http://127.0.0.1:8080/api/page",
        "HTTP://LOCALHOST:8080/api/page",
        "https://localhost/api/page?x=1",
        "//api/page",
        "///api//page",
        "http://localhost//api/page",
        "http://localhost",
        "//",
    ],
)
async def test_it_is_found_however_it_is_asked_for(app: WebApp, target: str) -> None:
    assert await ask(app, target) == 200


async def test_an_origin_in_the_target_counts_as_the_host_and_not_what_the_header_says(app: WebApp) -> None:
    assert await ask(app, "http://evil.example.org/api/page", host="127.0.0.1") == 421
    assert await ask(app, "http://127.0.0.1/api/page", host="evil.example.org") == 200


@pytest.mark.parametrize(
    "target", ["*", "127.0.0.1:8080", "ftp://localhost/api/page", "http:///api/page", ""]
)
async def test_what_names_nothing_here_is_not_found(app: WebApp, target: str) -> None:
    assert await ask(app, target or "/nothing") == 404


async def test_a_slash_that_belongs_to_a_name_stays_there(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    said = await client.post("//api//say", json={"text": "Hello.", "id": "a//b", "room": "x//y"})
    assert said.headers["location"] == "/api/say/a%2F%2Fb?room=x%2F%2Fy"
    assert (await client.get(said.headers["location"])).json()["id"] == "a//b"


@pytest.fixture
async def mounted(gateway: FakeGateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that a proxy mounts at /liba/."""
    app = make_app(Settings(), gateway, address=f"{ADDRESS}/liba")
    async with connected(app) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/liba", "//liba"], ids=["taken away", "left", "doubled"])
async def test_below_a_path_all_is_there_whether_the_proxy_takes_it_away_or_not(
    mounted: httpx2.AsyncClient, prefix: str
) -> None:
    for path in ("/", "/api/page", "/docs", "/openapi.json", "/static/main.js", "/healthz"):
        assert (await mounted.get(f"{prefix}{path}")).status_code == 200
    said = await mounted.post(f"{prefix}/api/say", json={"text": "Hello."})
    assert said.headers["location"].startswith("/liba/api/say/")
    assert (await mounted.get(said.headers["location"])).status_code == 200
    assert (await mounted.get(f"{prefix}/openapi.json")).json()["servers"] == [{"url": "/liba"}]


async def test_without_its_last_slash_the_path_leads_to_the_page(mounted: httpx2.AsyncClient) -> None:
    answer = await mounted.get("/liba")
    assert (answer.status_code, answer.headers["location"]) == (308, "/liba/")
    assert answer.headers["x-frame-options"] == "DENY"
    assert (await mounted.get("/libation")).status_code == 404


async def test_nothing_that_the_page_loads_is_asked_for_at_the_root(client: httpx2.AsyncClient) -> None:
    for path in ("/", "/docs"):
        assert '="/' not in (await client.get(path)).text
