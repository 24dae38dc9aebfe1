"""Runs `liba serve`: the web's server in this process, its address, its signals, its end."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.cli.log import configure_log, warn_of_exposures
from libacli.cli.output import output
from libacli.cli.runs.listening import address_of, bound
from libacli.cli.runs.page_link import PageLink, forget_links
from libacli.cli.runs.serve_stores import open_stores
from libacli.config import Settings
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.gateway import RoomGateway
from libacli.edges.orchestrator.service_manager import ServiceManager
from libacli.edges.voices.choose import usual_speaker, voice_names
from libacli.errors import ConfigError, StoreError
from libacli.web.app import make_app
from libacli.web.auth import check_bind
from libacli.web.bounded_http import bound_connections
from libacli.web.certificate import Certificate
from libacli.web.connection_gate import ConnectionGate
from libacli.web.keys import new_key
from libacli.web.problems import Problem, problem_response
from libacli.web.services import Services
from libacli.web.trusted_proxies import TrustedProxies, trusted_proxies

_FINISH_S = 10
"""From the signal on: how long requests may take to be answered."""

_ANSWER_S = 8
"""From the signal on: when who waits for an utterance is told what is known of it. That leaves 2 s to ask
the agent, which answers in milliseconds as a rule, before the request is cut off."""

_HURRY_S = 1.5
"""From the second signal to the end, at most."""

_BACKLOG = 128
"""Connections that wait to be taken: so many are open before the first of them can be refused."""


def make_key(settings: Settings, name: str, *, as_json: bool) -> None:
    """Prints a new key, which nobody can find out later, and the setting that lets it in."""
    key, entry = new_key(name)
    if as_json:
        output.json({"key": key, "entry": entry})
        return
    output.result(key)
    output.status(
        "keep it: it is stored nowhere. In your settings (`liba config path`), below [serve], and restart:"
    )
    output.status(f"keys = {json.dumps([*settings.serve_keys, entry])}")


class ServeRun:
    """One run of `liba serve`."""

    def __init__(self, settings: Settings, *, as_json: bool, open_page: bool) -> None:
        self._settings = settings
        self._as_json = as_json
        self._open_page = open_page
        self._manager = ServiceManager(os.environ)

    def run(self) -> None:
        """Serves until SIGTERM; requests are finished then.

        Raises ConfigError for a setting that cannot be, UsageError when the port is taken,
        KeyboardInterrupt after Ctrl-C.
        """
        settings = self._settings
        credentials = settings.livekit()
        is_loopback = check_bind(settings)
        proxies = trusted_proxies(settings)
        configure_log(settings)
        if settings.log_level != "debug":
            logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of whatever strangers send
        logging.getLogger("uvicorn.error").addFilter(_is_not_told_yet)
        warn_of_exposures(settings)
        with bound(settings.serve_host, settings.serve_port) as listening:
            previous = settings.livekit_previous()
            gateway = RoomGateway(credentials, agent_name=settings.agent_name, previous=previous)
            asyncio.run(self._serve(listening, gateway, proxies, is_loopback=is_loopback))

    async def _serve(
        self,
        listening: socket.socket,
        gateway: RoomGateway,
        proxies: TrustedProxies,
        *,
        is_loopback: bool,
    ) -> None:
        address = self._address(int(listening.getsockname()[1]))
        has_own_address = bool(self._settings.serve_public_url)
        if not is_loopback and not self._settings.serve_tls_cert and not has_own_address:
            output.status("warning  keys travel in the clear: put TLS in front, or set serve.tls_cert")
        async with gateway, open_stores(self._settings) as stores:
            app = make_app(
                self._settings,
                gateway,
                voices=voice_names(self._settings),
                usual_voice=usual_speaker(self._settings),
                address=address,
                host_is_loopback=is_loopback,
                stores=stores,
            )
            gate = ConnectionGate(unbounded=proxies)
            config, certificate = self._config(app, proxies), self._certificate()
            bound_connections(config, gate, certificate)
            server = _Server(config, gate, lambda: self._announce(app.services, address))
            signals = _Signals(server, app.services, self._manager)
            beside = [self._manager.keep_told(lambda: f"serves {address}")]
            if certificate:
                beside.append(certificate.run())
            try:
                async with in_background(*beside):
                    await server.serve(sockets=[listening])
            finally:
                forget_links()
        if signals.first == signal.SIGINT:
            raise KeyboardInterrupt

    def _config(self, app: ASGIApp, proxies: TrustedProxies) -> uvicorn.Config:
        config = uvicorn.Config(
            _CutOffResponder(app),
            lifespan="on",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Told even where there are none: else a variable of the environment would tell.
            proxy_headers=bool(proxies.as_words()),
            forwarded_allow_ips=proxies.as_words(),
            backlog=_BACKLOG,
            timeout_keep_alive=self._settings.serve_keep_alive,
            timeout_graceful_shutdown=_FINISH_S,
        )
        config.load()
        return config

    def _certificate(self) -> Certificate | None:
        """Raises ConfigError when certificate and key are not there or do not fit."""
        chain, key = self._settings.serve_tls_cert, self._settings.serve_tls_key
        if bool(chain) != bool(key):
            raise ConfigError(
                "of serve.tls_cert and serve.tls_key only one is set", hint="set both, or none for plain HTTP"
            )
        return Certificate(chain, key) if chain and key else None

    def _address(self, port: int) -> str:
        if self._settings.serve_public_url:
            return self._settings.serve_public_url.rstrip("/")
        is_encrypted = bool(self._settings.serve_tls_cert)
        return address_of(self._settings.serve_host, port, is_encrypted=is_encrypted)

    async def _announce(self, services: Services, address: str) -> None:
        """That it serves, and where."""
        self._manager.ready()
        page = f"{address}/#room={quote(self._settings.say_room, safe='')}"
        link = await self._link(services, page, can_say=self._open_page)
        output.status(f"page     {link.shown()}")
        if link.secret:
            output.status(f"         {self._what_it_takes(is_shown=link.shown() == link.secret)}")
        if self._as_json:
            output.ndjson({"url": address, "page": page})
        if self._open_page:
            link = await self._link(
                services, page, can_say=True
            )  # a code works once: not the one that is shown
            opening = functools.partial(link.open, otherwise="open the page yourself")
            asyncio.get_running_loop().run_in_executor(None, opening)

    def _what_it_takes(self, *, is_shown: bool) -> str:
        """What somebody needs who opens the page that was announced, where there are keys."""
        if not is_shown:
            return "it asks for a key: a link that lets a browser in is shown on a terminal alone"
        may = "speak" if self._open_page else "watch; to speak: a key, or liba serve --open"
        return f"it lets one browser in, within 10 minutes, to {may}"

    async def _link(self, services: Services, page: str, *, can_say: bool) -> PageLink:
        """A link to `page` that lets one browser in, where there are keys and codes can be made."""
        if not self._settings.serve_keys:
            return PageLink(page)
        room = self._settings.say_room
        try:
            code = await services.sessions.new_code(room, can_say=can_say, can_control=can_say)
        except StoreError as error:
            output.status(f"warning  no link lets a browser in now: {error}")
            return PageLink(page)
        return PageLink(page, f"{page}&code={code.secret}")


def _is_not_told_yet(record: logging.LogRecord) -> bool:
    """Of a defect the app tells itself, once a minute for each caller; uvicorn would tell each time."""
    return not record.getMessage().startswith("Exception in ASGI application")


class _Server(uvicorn.Server):
    """Leaves signals to its owner, and calls `on_ready` when it serves."""

    def __init__(
        self, config: uvicorn.Config, gate: ConnectionGate, on_ready: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._gate = gate
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gate.abort_idle()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves everything as it is then
            if requests := list(self.server_state.tasks):
                for request in requests:
                    request.cancel()
                await asyncio.wait(requests)
            await self.lifespan.shutdown()


class _CutOffResponder:
    """Answers requests that the end cuts off; uvicorn would call that a defect, and log where they were."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watch(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if scope["type"] != "http" or has_begun:
                raise
            problem = Problem(503, "draining", "the server was stopped", hint="ask again in a moment")
            await problem_response(problem)(scope, receive, send)


class _Signals:
    """The first one lets requests finish and ends streams, which never would; the second one ends it all."""

    def __init__(self, server: uvicorn.Server, services: Services, manager: ServiceManager) -> None:
        self.first: signal.Signals | None = None
        self._manager = manager
        self._server = server
        self._services = services
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.first:
            self._server.force_exit = True
            asyncio.get_running_loop().call_later(_HURRY_S, os._exit, 128 + number)
            return
        self.first = number
        self._manager.stopping()
        output.status(f"stopping: requests have {_FINISH_S} s to finish; once more ends it at once")
        self._services.feeds.end()
        asyncio.get_running_loop().call_later(_ANSWER_S, self._services.answer_now.set)
        self._server.should_exit = True
