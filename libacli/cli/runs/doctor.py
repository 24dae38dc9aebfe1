"""Runs the doctor's checks, each within its bound, and tells each finding as it comes."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path, user_state_path

from libacli.cli.output import output
from libacli.config import LiveKitCredentials, Settings
from libacli.config_sources import LoadedSettings
from libacli.edges.avatars.choose import avatar_vendor, make_avatar_service
from libacli.edges.avatars.ledger import conversations_path
from libacli.edges.checks import machine
from libacli.edges.checks.finding import Finding, Verdict, failure
from libacli.edges.metrics.schema import metrics_path
from libacli.edges.voices.choose import uses_openai
from libacli.errors import ConfigError, LibaError, UnreachableError

_BOUND_S = 10.0
_NAME_WIDTH = 13
_SYMBOLS: dict[Verdict, str] = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "-"}
_OF_A_ROOM = ("version", "token", "media", "agent")

T = TypeVar("T")


class Doctoring:
    """One examination. `run` it, then `finish`."""

    def __init__(
        self,
        *,
        room: str | None,
        is_paid: bool,
        is_offline: bool,
        is_strict: bool,
        token: str,
        as_json: bool,
    ) -> None:
        self._room = room
        self._is_paid = is_paid
        self._is_offline = is_offline
        self._is_strict = is_strict
        self._token = token
        self._as_json = as_json
        self._findings: list[Finding] = []

    async def run(self, loaded: LoadedSettings | ConfigError) -> None:
        """Makes all checks that make sense: without settings only those of this machine."""
        if not output.verbose:
            logging.getLogger().addHandler(logging.NullHandler())  # the findings tell it better
        settings = None if isinstance(loaded, ConfigError) else loaded.settings
        if isinstance(loaded, ConfigError):
            self._tell(failure("settings", loaded))
        else:
            self._tell(machine.settings(loaded))
            await self._local("files", lambda: machine.files(loaded))
        await self._machine(settings)
        if settings is None:
            return
        from libacli.edges.checks import vendors

        credentials = self._credentials(settings)
        if self._token:
            from libacli.edges.checks.grants import given_token

            await self._local("given token", lambda: given_token(self._token, credentials, room=self._room))
        if not uses_openai(settings):  # before the rest: it keeps the processor busy
            await self._check("voice", vendors.voice(settings, is_paid=False))
        if not self._is_offline:
            await self._online(settings, credentials)

    def finish(self) -> int:
        """Tells the sum of it; the exit code."""
        found = [finding.verdict for finding in self._findings]
        worst = next((verdict for verdict in ("fail", "warn") if verdict in found), "ok")
        if self._as_json:
            members = ("name", "verdict", "message", "fix")
            checks = [{name: getattr(one, name) for name in members} for one in self._findings]
            output.json({"verdict": worst, "checks": checks})
        else:
            output.status(", ".join(f"{found.count(verdict)} {verdict}" for verdict in _SYMBOLS))
        codes = {finding.exit_code for finding in self._findings if finding.verdict == "fail"}
        for code in (ConfigError.exit_code, UnreachableError.exit_code):
            if code in codes:
                return code
        return int(bool(codes) or (self._is_strict and worst == "warn"))

    async def _machine(self, settings: Settings | None) -> None:
        state, cache = user_state_path("liba"), user_cache_path("liba")
        await self._local("packages", machine.packages)
        await self._local("disk", lambda: machine.disk({"records": state, "downloads": cache}))
        await self._local("metrics", lambda: machine.metrics(metrics_path()))
        await self._local("conversations", lambda: machine.conversations(conversations_path()))
        await self._local("local parts", machine.local_parts)
        if settings is None:
            return
        wanted = {
            "agent.health_port": ("127.0.0.1", settings.agent_health_port),
            "metrics.prometheus_port": (settings.metrics_prometheus_host, settings.metrics_prometheus_port),
        }
        await self._local("ports", lambda: machine.ports(wanted))
        setting = settings.server_binary
        await self._local(
            "local server", lambda: machine.local_server(setting, lambda: _server(setting, cache))
        )

    def _credentials(self, settings: Settings) -> LiveKitCredentials | None:
        """None where LiveKit is not or wrongly configured, which is told."""
        try:
            return settings.livekit()
        except ConfigError as error:
            self._tell(failure("livekit", error))
            return None

    async def _online(self, settings: Settings, credentials: LiveKitCredentials | None) -> None:
        # Loaded before the checks begin: what takes a second to load would count as a slow answer.
        os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
        from libacli.edges.checks import server, vendors  # noqa: F401

        if settings.has_avatar:
            make_avatar_service(settings)
        if uses_openai(settings):
            from libacli.edges.voices import openai  # noqa: F401
        async with asyncio.TaskGroup() as tasks:
            if credentials:
                tasks.create_task(self._livekit(settings, credentials))
            if uses_openai(settings):
                tasks.create_task(self._check("voice", vendors.voice(settings, is_paid=self._is_paid)))
            tasks.create_task(self._check("openai", vendors.openai(settings)))
            tasks.create_task(self._avatar(settings, credentials))

    async def _avatar(self, settings: Settings, credentials: LiveKitCredentials | None) -> None:
        from libacli.edges.checks import vendors

        name = avatar_vendor(settings).name
        if finding := vendors.avatar_settings(settings):
            self._tell(finding)
        elif credentials is None:
            self._tell(Finding(name, "skip", "not checked without LiveKit"))
        else:
            await self._check(name, vendors.avatar(settings, credentials))
            await self._check("public", vendors.public(settings, credentials))

    async def _livekit(self, settings: Settings, credentials: LiveKitCredentials) -> None:
        from libacli.edges.checks import server
        from libacli.edges.checks.media import media
        from libacli.edges.livekit.tokens import join_token

        answer = await self._attempt("livekit", server.first_answer(credentials))
        if answer is None:
            self._skip(("clock", "credentials", *_OF_A_ROOM), "LiveKit cannot be reached")
            return
        self._tell(server.reached(answer))
        self._tell(server.clock(answer))
        room = f"liba-doctor-{uuid.uuid4().hex[:8]}"
        if not await self._check("credentials", server.credentials_work(credentials, room)):
            self._skip(_OF_A_ROOM, "the credentials do not work")
            return
        viewers = [join_token(credentials, room=room, identity=f"doctor-{number}") for number in (1, 2)]
        asked = settings.say_room if self._room is None else self._room
        is_asked = self._room is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._welcome(server.welcome(credentials, viewers[0])))
            tasks.create_task(self._check("media", media(credentials.ws_url, viewers[1])))
            agent = server.agent(credentials, asked, settings.agent_name, is_asked=is_asked)
            tasks.create_task(self._check("agent", agent))

    async def _welcome(self, asked: Awaitable[object]) -> None:
        from libacli.edges.checks import server

        welcome = await self._attempt("token", asked)
        if isinstance(welcome, server.Welcome):
            self._tell(server.version(welcome))
            self._tell(server.token_round_trip(welcome))
        else:
            self._skip(("version",), "no room could be joined")

    async def _local(self, name: str, check: Callable[[], Finding]) -> None:
        """A check that needs no loop, and might block one."""
        await self._check(name, asyncio.to_thread(check))

    async def _check(self, name: str, check: Awaitable[Finding]) -> bool:
        """Makes one check and tells it; whether nothing failed."""
        finding = await self._attempt(name, check)
        if finding:
            self._tell(finding)
        return finding is not None and finding.verdict != "fail"

    async def _attempt(self, name: str, step: Awaitable[T]) -> T | None:
        """The result of a step within its bound, or None when it failed, which is told; the rest goes on."""
        try:
            async with asyncio.timeout(_BOUND_S):
                return await step
        except TimeoutError:
            self._tell(
                Finding(name, "fail", f"no answer within {_BOUND_S:g} s", "try again; is it overloaded?")
            )
        except LibaError as error:
            self._tell(failure(name, error))
        except Exception as error:  # what it says may hold anything: it is not told
            output.trace(error)
            fix = "liba --verbose doctor shows where; please report it"
            self._tell(Finding(name, "fail", f"internal: the check broke ({type(error).__name__})", fix))
        return None

    def _skip(self, names: tuple[str, ...], reason: str) -> None:
        self._findings += [Finding(name, "skip", f"not checked: {reason}") for name in names]
        self._show(Finding("the rest", "skip", f"{reason}, so not checked: {', '.join(names)}"))

    def _tell(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._show(finding)

    def _show(self, finding: Finding) -> None:
        if self._as_json:
            return
        lead = f"{_SYMBOLS[finding.verdict]} {finding.verdict:<4}  {finding.name:<{_NAME_WIDTH}}"
        output.result(f"{lead}  {finding.message}")
        if finding.fix:
            output.result(f"{'':{len(lead)}}  → {finding.fix}")


def _server(setting: Path | None, cache: Path) -> tuple[Path, str] | None:
    from libacli.local.server_binary import find_server

    found = find_server(setting, cache)
    return (found.path, found.version) if found else None
