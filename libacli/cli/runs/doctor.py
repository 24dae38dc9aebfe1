"""Runs `liba doctor`: which checks are made, in which order, and which of them need another one first."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_state_path

from libacli.cli.output import output
from libacli.cli.runs.doctor_checks import DoctorChecks
from libacli.cli.screens.doctor_findings import show_finding, show_json, show_report, show_sum
from libacli.config import LiveKitCredentials, Settings
from libacli.config_sources import LoadedSettings
from libacli.edges.avatars.choose import avatar_vendor, make_avatar_service
from libacli.edges.avatars.ledger import conversations_path
from libacli.edges.checks import machine
from libacli.edges.checks.exposure import exposure
from libacli.edges.checks.finding import Finding, failure
from libacli.edges.metrics.schema import metrics_path
from libacli.edges.voices.cache_files import sounds_path
from libacli.edges.voices.choose import provider_words
from libacli.errors import ConfigError

_NEEDED_ON_THE_WAY = ("livekit", "credentials", "token")
_WHOLE_WAY_S = 240.0
"""Longer than all waits on it together."""

_OWN_VOICE_S = 30.0
"""To load the embedded voice on a busy machine: no network is in the way, and nothing is wrong with it."""

_OF_A_ROOM = ("version", "token", "media", "agent")


@dataclass
class DoctorRun:
    """One run of `liba doctor`."""

    loaded: LoadedSettings | ConfigError
    """The settings, or why there are none: then only this machine is checked."""

    room: str | None
    is_paid: bool
    measures_capacity: bool
    is_offline: bool
    is_strict: bool
    looks_at_token: bool
    """Whether standard input holds a viewer's, to be looked at."""

    as_json: bool
    config_file: Path | None = None

    def __post_init__(self) -> None:
        self._checks = DoctorChecks(_show_nothing if self.as_json else show_finding)
        self._report: dict[str, Any] = {}
        self._token = ""

    def run(self) -> int:
        """Makes all checks that make sense, and prints what they find; the exit code."""
        if self.looks_at_token:
            self._token = sys.stdin.read().strip()
        asyncio.run(self._run())
        if self.as_json:
            show_json(self._checks.findings, self._checks.worst, self._report)
        else:
            show_report(self._report)
            show_sum(self._checks.findings)
        return self._checks.exit_code(is_strict=self.is_strict)

    async def _run(self) -> None:
        if not output.verbose:
            logging.getLogger().addHandler(logging.NullHandler())  # the findings tell it better
        loaded = self.loaded
        if isinstance(loaded, ConfigError):
            self._checks.add(failure("settings", loaded))
            await self._check_machine()
            return
        self._checks.add(machine.settings(loaded))
        if links := machine.service_links(loaded):
            self._checks.add(links)
        self._checks.add(machine.folder(loaded))
        await self._checks.check_in_thread("files", lambda: machine.files(loaded))
        self._checks.add(exposure(loaded.settings))
        await self._check_machine()
        settings = loaded.settings
        await self._check_machine_for(settings)
        from libacli.edges.checks import voices

        credentials = self._credentials(settings)
        if self._token:
            from libacli.edges.checks.grants import given_token

            await self._checks.check_in_thread(
                "given token", lambda: given_token(self._token, credentials, room=self.room)
            )
        if "embedded" in provider_words(settings):  # before the rest: it keeps the processor busy
            await self._check_voice(settings, "embedded")
        self._checks.add(voices.after_the_first(settings))
        if not self.is_offline:
            await self._check_services(settings, credentials)
        if self.is_paid and not self.is_offline and credentials:
            await self._go_the_whole_way(loaded, credentials)
        if self.measures_capacity:
            await self._measure_capacity(settings)

    async def _measure_capacity(self, settings: Settings) -> None:
        """When everything else is over: it is to have the machine for itself."""
        from libacli.cli.runs import doctor_capacity

        measured = doctor_capacity.capacity(settings)
        await self._checks.check(doctor_capacity.NAME, measured, bound_s=doctor_capacity.BOUND_S)

    async def _go_the_whole_way(self, loaded: LoadedSettings, credentials: LiveKitCredentials) -> None:
        """Last of all, and alone: its times are to be those of a machine that does nothing else."""
        if any(one.name in _NEEDED_ON_THE_WAY and one.verdict == "fail" for one in self._checks.findings):
            self._checks.skip(("whole way",), "the server cannot be used")
            return
        from libacli.cli.runs.doctor_paid import NAME, WholeWay

        way = WholeWay(loaded, credentials, self.config_file)
        self._report = way.told
        await self._checks.check(NAME, way.run(), bound_s=_WHOLE_WAY_S)

    async def _check_machine(self) -> None:
        state, cache = user_state_path("liba"), user_cache_path("liba")
        check = self._checks.check_in_thread
        await check("packages", machine.packages)
        await check("disk", lambda: machine.disk({"records": state, "downloads": cache}))
        await check("metrics", lambda: machine.metrics(metrics_path()))
        await check("conversations", lambda: machine.conversations(conversations_path()))
        await check("local parts", machine.local_parts)

    async def _check_machine_for(self, settings: Settings) -> None:
        """What is there for these settings."""
        check = self._checks.check_in_thread
        wanted = {
            "agent.health_port": (settings.agent_health_host, settings.agent_health_port),
            "metrics.prometheus_port": (settings.metrics_prometheus_host, settings.metrics_prometheus_port),
        }
        await check("ports", lambda: machine.ports(wanted))
        if settings.voice_cache_mb:
            await check("voice cache", lambda: machine.voice_cache(sounds_path(), settings.voice_cache_mb))
        setting = settings.server_binary
        await check("local server", lambda: machine.local_server(setting, lambda: _find_server(setting)))

    def _credentials(self, settings: Settings) -> LiveKitCredentials | None:
        """None where LiveKit is not or wrongly configured, which is told."""
        try:
            return settings.livekit()
        except ConfigError as error:
            self._checks.add(failure("livekit", error))
            return None

    async def _check_services(self, settings: Settings, credentials: LiveKitCredentials | None) -> None:
        # Loaded before the checks begin: what takes a second to load would count as a slow answer.
        os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
        from libacli.edges.checks import journal as journal_check
        from libacli.edges.checks import redis as redis_check
        from libacli.edges.checks import server, vendors, voices  # noqa: F401

        if settings.has_avatar:
            make_avatar_service(settings)
        async with asyncio.TaskGroup() as tasks:
            if credentials:
                tasks.create_task(self._check_livekit(settings, credentials))
            for word in provider_words(settings):
                if word != "embedded":
                    tasks.create_task(self._check_voice(settings, word))
            tasks.create_task(self._checks.check("openai", voices.openai(settings)))
            tasks.create_task(self._check_avatar(settings, credentials))
            if settings.redis_url:
                tasks.create_task(self._checks.check("redis", redis_check.redis(settings)))
            if settings.livekit_api_key:
                tasks.create_task(self._checks.check(journal_check.NAME, journal_check.journal(settings)))

    async def _check_voice(self, settings: Settings, word: str) -> None:
        from libacli.edges.checks import voices

        check = voices.one_word(settings, word, is_paid=self.is_paid)
        bound = {"bound_s": _OWN_VOICE_S} if word == "embedded" else {}
        await self._checks.check(voices.check_name(settings, word), check, **bound)

    async def _check_avatar(self, settings: Settings, credentials: LiveKitCredentials | None) -> None:
        from libacli.edges.checks import vendors

        name = avatar_vendor(settings).name
        if finding := vendors.avatar_settings(settings):
            self._checks.add(finding)
        elif credentials is None:
            self._checks.add(Finding(name, "skip", "not checked without LiveKit"))
        else:
            await self._checks.check(name, vendors.avatar(settings, credentials))
            await self._checks.check("public", vendors.public(settings, credentials))

    async def _check_livekit(self, settings: Settings, credentials: LiveKitCredentials) -> None:
        from libacli.edges.checks import server
        from libacli.edges.checks.media import media
        from libacli.edges.livekit.tokens import join_token

        answer = await self._checks.attempt("livekit", server.first_answer(credentials))
        if answer is None:
            self._checks.skip(("clock", "credentials", *_OF_A_ROOM), "LiveKit cannot be reached")
            return
        self._checks.add(server.reached(answer))
        self._checks.add(server.clock(answer))
        room = f"liba-doctor-{uuid.uuid4().hex[:8]}"
        if not await self._checks.check("credentials", server.credentials_work(credentials, room)):
            self._checks.skip(_OF_A_ROOM, "the credentials do not work")
            return
        viewers = [join_token(credentials, room=room, identity=f"doctor-{number}") for number in (1, 2)]
        asked = settings.say_room if self.room is None else self.room
        is_asked = self.room is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                self._check_welcome(
                    server.welcome(credentials, viewers[0]), is_loopback=credentials.is_loopback
                )
            )
            tasks.create_task(self._checks.check("media", media(credentials.ws_url, viewers[1])))
            agent = server.agent(credentials, asked, settings.agent_name, is_asked=is_asked)
            tasks.create_task(self._checks.check("agent", agent))
            if is_asked:
                senders = server.data_senders(credentials, asked)
                tasks.create_task(self._checks.check("data senders", senders))
            if is_asked or credentials.e2ee_key:
                tasks.create_task(self._checks.check("encryption", server.encryption(credentials, asked)))

    async def _check_welcome(self, asked: Awaitable[object], *, is_loopback: bool) -> None:
        from libacli.edges.checks import server

        welcome = await self._checks.attempt("token", asked)
        if isinstance(welcome, server.Welcome):
            self._checks.add(server.version(welcome, is_loopback=is_loopback))
            self._checks.add(server.token_round_trip(welcome))
        else:
            self._checks.skip(("version",), "no room could be joined")


def _show_nothing(finding: Finding) -> None:
    """With JSON all of them are one document, at the end."""


def _find_server(setting: Path | None) -> tuple[Path, str] | None:
    from libacli.local.server_binary import find_server

    found = find_server(setting, user_cache_path("liba"))
    return (found.path, found.version) if found else None
