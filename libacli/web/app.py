"""The HTTP API and the page, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from libacli import __version__
from libacli.config import Settings
from libacli.web import (
    aliases,
    docs,
    health,
    links,
    metrics,
    middleware,
    page,
    problems,
    rooms,
    say,
    stop,
    stream,
    token,
)
from libacli.web.auth import Callers
from libacli.web.feed import Feeds
from libacli.web.ports import Gateway
from libacli.web.sessions import Sessions

_DESCRIPTION = """Make the agent of a LiveKit room say exactly this text, now, and know that it was said.

Errors are problem details (RFC 9457); `reason` is the word for machines. Where keys are configured, each
request carries one: `Authorization: Bearer liba_...`.
"""


def make_app(
    settings: Settings,
    gateway: Gateway,
    *,
    voices: Sequence[str] = (),
    address: str = "http://127.0.0.1:8080",
    host_is_loopback: bool = True,
) -> FastAPI:
    """The application, reached at `address`. `voices` are the page's suggestions.

    `app.state.sessions` makes the codes by which a browser is let in.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await app.state.feeds.aclose()

    app = FastAPI(
        title="liba",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    state = app.state
    state.settings = settings
    state.gateway = gateway
    state.voices = tuple(voices)
    state.address = address
    state.memory = say.Memory()
    state.sessions = Sessions()
    state.callers = Callers(settings, state.sessions, host_is_loopback=host_is_loopback)
    state.feeds = Feeds(gateway)
    state.readiness = health.Readiness(gateway)
    for part in (say, stop, rooms, stream, token, links, health, docs, aliases):
        app.include_router(part.router)
    page.install(app)
    problems.install(app)
    middleware.install(app, settings, address=address, host_is_loopback=host_is_loopback)
    metrics.install(app)
    return app
