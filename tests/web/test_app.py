from __future__ import annotations

import asyncio

import httpx2

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.services import WebApp
from tests.web.conftest import connected
from tests.web.fake_gateway import FakeGateway


def test_to_make_it_asks_nobody_and_needs_no_event_loop(gateway: FakeGateway) -> None:
    make_app(Settings(), gateway)
    assert gateway.calls == []


async def test_two_apps_in_one_process_know_nothing_of_each_other(gateway: FakeGateway) -> None:
    first, second = make_app(Settings(), gateway), make_app(Settings(), gateway)
    async with connected(first) as client:
        await client.get("/healthz")
    assert first.services.metrics.registry is not second.services.metrics.registry
    assert first.services.sessions is not second.services.sessions


async def test_a_code_that_the_owner_of_the_server_makes_lets_a_browser_in(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    code = (await app.services.sessions.new_code("lobby", can_say=False)).secret
    answer = await client.post("/api/session", json={"code": code})
    assert (answer.status_code, answer.json()["room"], answer.json()["can_say"]) == (200, "lobby", False)


async def test_when_it_stops_it_leaves_the_rooms_that_it_follows(app: WebApp, gateway: FakeGateway) -> None:
    async with connected(app):
        items = app.services.feeds.read("demo")
        await anext(items)
        assert gateway.followers("demo") == 1
        await items.aclose()
    await asyncio.sleep(0)
    assert gateway.followers("demo") == 0
