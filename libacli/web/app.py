"""The HTTP API and the page, put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from libacli import __version__
from libacli.config import Settings
from libacli.masking import secrets_of
from libacli.mcp.installed import check_installed
from libacli.web import (
    aliases,
    captions,
    docs,
    health,
    links,
    page,
    queue,
    rooms,
    say,
    say_audio,
    session_list,
    stop,
    stream,
    token,
)
from libacli.web.json_rpc_problems import JsonRpcProblemsMiddleware
from libacli.web.metrics import RequestMetricsMiddleware
from libacli.web.middleware import add_middleware
from libacli.web.ports import Gateway
from libacli.web.problems import add_problem_handlers
from libacli.web.request_target import RequestTargetMiddleware
from libacli.web.security_headers import security_headers
from libacli.web.services import Services, WebApp, make_services
from libacli.web.stores import Stores

_PARTS = (
    say,
    say_audio,
    stop,
    queue,
    captions,
    rooms,
    stream,
    token,
    links,
    session_list,
    health,
    docs,
    aliases,
    page,
)
_DESCRIPTION = """Make the agent of a LiveKit room say exactly this text, now, and know that it was said.

Errors are problem details (RFC 9457); `reason` is the word for machines. Where keys are configured, each
request carries one: `Authorization: Bearer liba_...`.
"""


def make_app(
    settings: Settings,
    gateway: Gateway,
    *,
    voices: Sequence[str] = (),
    usual_voice: str = "",
    address: str = "http://127.0.0.1:8080",
    host_is_loopback: bool = True,
    stores: Stores | None = None,
) -> WebApp:
    """The application, reached at `address`. Raises ConfigError.

    `voices` are the page's suggestions, `usual_voice` is who speaks unless told otherwise, if that is known.
    Servers that are reached at one address have `stores` in common.
    """
    services = make_services(
        settings,
        gateway,
        voices=voices,
        usual_voice=usual_voice,
        address=address,
        host_is_loopback=host_is_loopback,
        stores=stores,
    )
    headers = security_headers(settings, address)
    secrets = secrets_of(settings, os.environ)
    app = _app_with_routes(services)
    add_problem_handlers(app, headers, secrets=secrets)
    add_middleware(
        app,
        settings,
        address=address,
        host_is_loopback=host_is_loopback,
        security_headers=headers,
        file_paths=(say_audio.PATH,),
    )
    if settings.serve_mcp:
        _add_tools(app, secrets)
    app.add_middleware(RequestMetricsMiddleware, metrics=services.metrics)
    app.add_middleware(RequestTargetMiddleware, prefix=services.prefix, headers=headers)
    return app


def _app_with_routes(services: Services) -> WebApp:
    app = WebApp(
        services,
        title="liba",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan,
        servers=[{"url": services.prefix}] if services.prefix else None,
        docs_url=None,
        redoc_url=None,
        # As they are: `include_router` would have the first request make each of them once more.
        routes=[route for part in _PARTS for route in part.router.routes],
    )
    page.add_files(app)
    return app


def _add_tools(app: WebApp, secrets: Sequence[str]) -> None:
    """Those for models. Raises ConfigError."""
    check_installed()
    from libacli.web.mcp import PATH, McpEndpoint  # an extra of its own

    app.add_middleware(JsonRpcProblemsMiddleware, path=PATH)
    endpoint = McpEndpoint(app.services, secrets=secrets)
    endpoint.add_to(app)
    app.tools = endpoint.running()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    assert isinstance(app, WebApp)
    services = app.services
    try:
        async with app.tools, asyncio.TaskGroup() as tasks:
            looking_after = [
                tasks.create_task(services.viewers.run(services.sessions.end_expired)),
                tasks.create_task(services.session_streams.run()),
                tasks.create_task(services.store_watch.run()),
            ]
            yield
            for looking in looking_after:
                looking.cancel()
    finally:
        await services.feeds.aclose()
