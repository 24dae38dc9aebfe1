"""What the routes of one server share, and how they get it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request

from libacli.config import Settings
from libacli.web.auth import Authenticator
from libacli.web.feed import Feeds
from libacli.web.metrics import HttpMetrics
from libacli.web.open_streams import OpenStreams
from libacli.web.ports import Gateway
from libacli.web.rate_limits import RateLimits
from libacli.web.readiness import Readiness
from libacli.web.sent_utterances import SentUtterances
from libacli.web.session_streams import SessionStreams
from libacli.web.sessions import Sessions
from libacli.web.stores import Stores, StoreWatch
from libacli.web.viewers import Viewers

_UPLOADS = 2
"""At once: each takes a thread and a part of the disk."""


@dataclass(frozen=True)
class Services:
    """Made once for an application; each of them belongs to its event loop."""

    settings: Settings
    gateway: Gateway
    address: str
    """Where the page is reached, without a slash at its end."""

    prefix: str
    """The path of that address: empty, or where a proxy mounts this server, as `/liba`."""

    voices: tuple[str, ...]
    """Speakers that the page suggests."""

    usual_voice: str
    """Who speaks unless told otherwise; empty: not known."""

    sessions: Sessions
    session_streams: SessionStreams
    viewers: Viewers
    rate_limits: RateLimits
    authenticator: Authenticator
    feeds: Feeds
    readiness: Readiness
    store_watch: StoreWatch
    sent_utterances: SentUtterances
    metrics: HttpMetrics = field(default_factory=HttpMetrics)
    open_streams: OpenStreams = field(default_factory=OpenStreams)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_UPLOADS))
    """Who receives a file, and looks through it; others wait with theirs."""

    answer_now: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to end: who still waits for an utterance is told what is known by then."""


class WebApp(FastAPI):
    """An application that knows what its routes share."""

    def __init__(self, services: Services, **options: Any) -> None:
        super().__init__(**options)
        self.services = services
        self.tools: AbstractAsyncContextManager[None] = nullcontext()
        """Entered while it runs: what those for models need, where there are any."""


def make_services(
    settings: Settings,
    gateway: Gateway,
    *,
    voices: Sequence[str] = (),
    usual_voice: str = "",
    address: str,
    host_is_loopback: bool,
    stores: Stores | None = None,
) -> Services:
    """Those of a server that is reached at `address`. Raises ConfigError for a key that is none."""
    stores = stores or Stores()
    viewers = Viewers(gateway, stores.tokens, max_valid_for_s=settings.serve_token_ttl, now=stores.now)
    sessions = Sessions(stores.now, stores.sessions, on_end=viewers.dismiss)
    rate_limits = RateLimits(settings.serve_rate_per_minute, stores.counts)
    return Services(
        settings=settings,
        gateway=gateway,
        address=address,
        prefix=prefix_of(address),
        voices=tuple(voices),
        usual_voice=usual_voice,
        sessions=sessions,
        session_streams=SessionStreams(sessions),
        viewers=viewers,
        rate_limits=rate_limits,
        authenticator=Authenticator(settings, sessions, rate_limits, host_is_loopback=host_is_loopback),
        feeds=Feeds(gateway),
        readiness=Readiness(gateway),
        store_watch=stores.watch,
        sent_utterances=SentUtterances(stores.sent, secret=_secret_of(settings)),
    )


def prefix_of(address: str) -> str:
    """The path of `address` without a slash at its end."""
    return urlsplit(address).path.rstrip("/")


def _secret_of(settings: Settings) -> str:
    """One that all replicas have."""
    return settings.livekit_api_secret.get_secret_value() if settings.livekit_api_secret else ""


async def services_of(request: Request) -> Services:
    """What the application has that was asked. Not a plain function: FastAPI would call it in a thread."""
    app = request.app
    assert isinstance(app, WebApp)
    return app.services


ServicesDependency = Annotated[Services, Depends(services_of)]
