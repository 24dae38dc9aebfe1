"""The HTTP API behind proxies as they are: they buffer, cut, break, repeat, and write in their own way."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from tests.misbehaving_proxy import Manner, MisbehavingProxy
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

REACTION_S = 10.0
"""On a busy machine; it takes milliseconds."""

WAYS = {
    "plain": Manner(),
    "byte by byte": Manner(pieces=1),
    "without a length": Manner(is_chunked=True),
    "HTTP/1.0": Manner(is_http_10=True),
    "expecting 100": Manner(expects_continue=True),
    "half closed": Manner(half_closes=True),
    "an origin before the path": Manner(target="http://127.0.0.1:8080{}"),
    "doubled slashes": Manner(target="/{}"),
    "below a path": Manner(target="/liba{}"),
    "buffered": Manner(buffers=True, compresses=True),
    "asked twice": Manner(sends_twice=True),
}
"""What changes nothing for who asks."""

BREAKS = {
    "broken before": Manner(resets_before=True),
    "broken after": Manner(resets_after=True),
    "cut off": Manner(read_timeout_s=0.05),
    "asked twice and cut off": Manner(read_timeout_s=0.05, sends_twice=True),
}
"""What leaves him without an answer: he has to ask again."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@asynccontextmanager
async def proxied(
    gateway: FakeGateway, **settings: Any
) -> AsyncIterator[tuple[MisbehavingProxy, httpx2.AsyncClient]]:
    """A server, a proxy before it, and a client of the proxy."""
    async with (
        serving(gateway, Settings(**settings), path="/liba") as (port, _),
        MisbehavingProxy(port) as proxy,
        httpx2.AsyncClient(base_url=proxy.url, trust_env=False, timeout=REACTION_S) as client,
    ):
        yield proxy, client


def spoken(gateway: FakeGateway) -> Counter[str]:
    return Counter(request.text for agent in gateway.agents.values() for request in agent.requests)


async def say(client: httpx2.AsyncClient, text: str, key: str, query: str = "") -> httpx2.Response | None:
    """None: no answer came, or none of the server."""
    try:
        answer = await client.post(f"/api/say{query}", json={"text": text}, headers={"Idempotency-Key": key})
    except httpx2.TransportError:
        return None
    return None if answer.status_code in (502, 504) else answer


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_way_a_request_takes_it_is_answered_and_spoken_once(
    gateway: FakeGateway, way: str
) -> None:
    async with proxied(gateway) as (proxy, client):
        proxy.manner = WAYS[way]
        for number in range(3):
            answer = await say(client, f"Line {number}.", f"key-{number}")
            assert answer and answer.status_code == 202, way
            assert (await client.get(f"/api/say/key-{number}")).json()["state"] == "accepted"
        assert (await client.get("/")).text.startswith("<!doctype html>")
    assert spoken(gateway) == {f"Line {number}.": 1 for number in range(3)}


async def test_long_post_that_a_proxy_cuts_off_is_asked_again_by_its_key_and_spoken_once(
    gateway: FakeGateway,
) -> None:
    async with proxied(gateway) as (proxy, client):
        proxy.manner = Manner(read_timeout_s=0.2)
        text = 30 * "A long line that takes more than a proxy waits. "
        headers = {"Idempotency-Key": "long"}
        cut = await client.post("/api/say?wait=done", json={"text": text}, headers=headers)
        assert cut.status_code == 504
        again = await client.post("/api/say", json={"text": text}, headers=headers)
        assert (again.status_code, again.json()["duplicate"]) == (202, True)
        gateway.becomes("demo", "long", "done")
        # That it answers below the proxy's path is its own: the location is for whoever is before it.
        assert again.headers["location"] == "/liba/api/say/long?room=demo"
        assert (await client.get(again.headers["location"])).json()["state"] == "done"
    assert spoken(gateway)[text.strip()] == 1


async def test_long_post_is_answered_before_the_proxy_cuts_it_off_where_that_is_asked_for(
    gateway: FakeGateway,
) -> None:
    async with proxied(gateway) as (proxy, client):
        proxy.manner = Manner(read_timeout_s=2)
        answer = await client.post("/api/say?wait=done&timeout_s=0.2", json={"text": 300 * "word "})
        assert (answer.status_code, answer.json()["state"]) == (202, "accepted")


@pytest.mark.parametrize("way", ["plain", "buffered", "HTTP/1.0"])
async def test_sse_buffering_and_compressing_proxies_pass_events_on_at_once(
    gateway: FakeGateway, way: str
) -> None:
    gateway.comes("demo")
    async with proxied(gateway) as (proxy, client):
        proxy.manner = WAYS[way]
        async with asyncio.timeout(REACTION_S), client.stream("GET", "/api/events") as events:
            lines = events.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            proxy.manner = Manner()
            for number in range(3):
                await say(client, "Hello.", f"u{number}")
                gateway.becomes("demo", f"u{number}", "speaking")
                told = [line async for line in _until(lines, f'"id":"u{number}"')]
                assert '"state":"speaking"' in told[-1]


async def _until(lines: AsyncIterator[str], words: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if words in line:
            return


@pytest.mark.parametrize("seed", range(4))
async def test_in_any_mixture_of_proxies_each_line_is_spoken_once_and_told_once(
    gateway: FakeGateway, seed: int
) -> None:
    """Who gets no answer asks again with his key, as README has it."""
    chance = random.Random(seed)
    gateway.is_ideal = True
    manners = [*WAYS.values(), *BREAKS.values()]
    told: Counter[str] = Counter()
    async with proxied(gateway, serve_rate_per_minute=0) as (proxy, client):

        async def follow() -> None:
            async with client.stream("GET", f"{proxy.url}/api/events") as events:
                async for line in events.aiter_lines():
                    if line.startswith("data: ") and '"state":"done"' in line:
                        told[json.loads(line[6:])["id"]] += 1

        async def speak(number: int) -> None:
            query = chance.choice(["", "?wait=done", "?wait=audible&timeout_s=5"])
            for attempt in range(20):
                proxy.manner = replace(chance.choice(manners) if attempt < 19 else Manner())
                if answer := await say(client, f"Line {number}.", f"key-{number}", query):
                    assert answer.status_code == (200 if query else 202)
                    assert answer.json()["id"] == f"key-{number}"
                    return
            raise AssertionError(f"line {number} was never answered")

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            gateway.comes("demo")
            following = tasks.create_task(follow())
            while not gateway.followers("demo"):  # noqa: ASYNC110 - the fake has no event for it
                await asyncio.sleep(0.01)
            async with asyncio.TaskGroup() as speakers:
                for number in range(25):
                    speakers.create_task(speak(number))
            proxy.manner = Manner()
            wrong = await client.post("/api/say", content=b"{", headers={"Content-Type": "application/json"})
            assert wrong.status_code == 422
            while len(told) < 25:  # noqa: ASYNC110 - what is waited for comes through a socket
                await asyncio.sleep(0.01)
            following.cancel()
    assert spoken(gateway) == {f"Line {number}.": 1 for number in range(25)}
    assert told == {f"key-{number}": 1 for number in range(25)}
