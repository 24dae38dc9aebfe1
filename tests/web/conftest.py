from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.services import WebApp
from tests.web.fake_gateway import FakeGateway

ADDRESS = "http://127.0.0.1:8080"


@asynccontextmanager
async def connected(
    app: FastAPI, *, client: str = "127.0.0.1", base_url: str = ADDRESS, raises: bool = True
) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody at the address `client` who calls `app`; without `raises` a defect is only a 500."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=raises, client=(client, 50000))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=base_url) as web,
    ):
        yield web


@pytest.fixture
def settings() -> Settings:
    """Those of a server on loopback without keys; a module may have its own."""
    return Settings()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def app(settings: Settings, gateway: FakeGateway) -> WebApp:
    return make_app(settings, gateway, voices=("hibari",), usual_voice="hibari", address=ADDRESS)


@pytest.fixture
async def client(app: WebApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(app) as client:
        yield client


async def enter(app: WebApp, room: str, *, can_say: bool, can_control: bool = False) -> dict[str, str]:
    """The headers of a session that somebody has who came by a link of the server's owner."""
    sessions = app.services.sessions
    code = await sessions.new_code(room, can_say=can_say, can_control=can_control)
    redeemed = await sessions.redeem_code(code.secret)
    assert redeemed
    return {"Authorization": f"Bearer {redeemed[0]}"}
