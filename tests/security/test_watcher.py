"""A watcher: was let in by a link to watch, and tries to stay, to multiply, and to pass its right on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import jwt
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials, Settings
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.gateway import RoomGateway
from libacli.edges.livekit.joining import joined
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.web.conftest import connected, enter

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("owner")
BY_KEY = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def app(credentials: LiveKitCredentials) -> AsyncIterator[WebApp]:
    async with RoomGateway(credentials, agent_name="liba") as gateway:
        yield make_app(Settings(serve_keys=(ENTRY,)), gateway)


@pytest.fixture
async def client(app: WebApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(app) as client:
        yield client


async def until_gone(credentials: LiveKitCredentials, room: str, identity: str, *, within_s: float) -> None:
    async with LiveKitApi(credentials) as api, asyncio.timeout(within_s):
        while any(  # noqa: ASYNC110 - it is asked for from outside
            found.identity == identity for found in await api.participants(room)
        ):
            await asyncio.sleep(0.2)


async def test_it_is_one_viewer_for_as_long_as_its_session_and_no_more(
    app: WebApp, client: httpx2.AsyncClient, credentials: LiveKitCredentials, room: str
) -> None:
    headers, tokens = await enter(app, room, can_say=False), []
    wish = {"valid_for_s": 86_400}
    answers = [await client.post("/api/token", json=wish, headers=headers) for _ in range(50)]
    tokens = [answer.json()["token"] for answer in answers if answer.is_success]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 45
    secret = credentials.api_secret.get_secret_value()
    claims = [jwt.decode(token, secret, algorithms=["HS256"]) for token in tokens]
    assert len({claim["sub"] for claim in claims}) == 1
    assert max(claim["exp"] - claim["nbf"] for claim in claims) <= 600
    assert not any("attributes" in claim or claim["video"]["canPublishData"] for claim in claims)


async def test_it_is_put_out_when_its_session_is_ended_and_again_when_it_comes_back(
    app: WebApp, client: httpx2.AsyncClient, credentials: LiveKitCredentials, room: str
) -> None:
    headers, another = await enter(app, room, can_say=False), await enter(app, room, can_say=False)
    told, other = [(await client.post("/api/token", headers=which)).json() for which in (headers, another)]
    async with joined(rtc.Room(), credentials.ws_url, other["token"]) as neighbour:
        async with joined(rtc.Room(), credentials.ws_url, told["token"]):
            (name,) = [
                session["name"]
                for session in (await client.get("/api/sessions", headers=BY_KEY)).json()["sessions"]
                if session["identity"] == told["identity"]
            ]
            answer = await client.delete(f"/api/sessions/{name}", headers=BY_KEY)
            assert answer.json() == {"identities": [told["identity"]]}
            await until_gone(credentials, room, told["identity"], within_s=10)
        async with joined(rtc.Room(), credentials.ws_url, told["token"]):
            await until_gone(credentials, room, told["identity"], within_s=20)
        assert (await client.post("/api/token", headers=headers)).status_code == 401
        assert neighbour.isconnected()
