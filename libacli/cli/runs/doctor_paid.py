"""Goes the whole way once, as a user would, and tells of it what whoever is asked for help wants to know.

A worker of its own, a room of its own, the avatar if one is configured, one word, a viewer who hears it, and
the end of all of them. It costs one word of the voice, and the avatar for as long as that takes.
"""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from libacli import __version__
from libacli.cli.runs.config import shown_value
from libacli.cli.runs.local_stack import LocalStack
from libacli.config import LiveKitCredentials, Settings, toml_name
from libacli.config_sources import LoadedSettings
from libacli.core.event import Report
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.route import route_word
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.checks.finding import Finding, failure
from libacli.edges.livekit.agent_client import AgentClient, open_client
from libacli.edges.viewer.seat import Seat, seated
from libacli.errors import LibaError, NoAgentError, TimedOutError
from libacli.masking import masked, secrets_of, without_password

NAME = "whole way"
_WORD = "Ready."
_WORKER_TIMEOUT_S = 60.0
_SPOKEN_TIMEOUT_S = 60.0
_JOIN_MARGIN_S = 10.0
"""Beyond `avatar.join_timeout`: for the request, and its tracks."""

_TAIL_S = 0.5
_LOOK_EVERY_S = 0.5
_END_GRACE_S = 16.0
"""What a worker may take to end all that it began."""

_PACKAGES = ("livekit", "livekit-agents", "livekit-api", "livekit-plugins-tavus", "openai", "av", "aiohttp")


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    report: Report | None = None
    """The agent's last one of the word."""

    heard_s: float = 0.0
    """Seconds of sound that the viewer heard."""

    first_sound_ms: float | None = None
    left_behind: tuple[str, ...] = ()
    """Conversations that were not ended."""


@dataclass
class WholeWay:
    """One run. `told` grows as it goes, and holds no secret."""

    loaded: LoadedSettings
    credentials: LiveKitCredentials
    config_file: Path | None
    room: str = field(default_factory=lambda: f"liba-doctor-{uuid.uuid4().hex[:8]}")
    told: dict[str, Any] = field(default_factory=dict)
    _conversations: dict[str, str] = field(default_factory=dict)
    """Name → id, "" where it has none."""

    async def run(self) -> Finding:
        """Goes it, and judges. Raises nothing but what is a defect."""
        self.told |= facts_of(self.loaded) | {"room": self.room, "timings_ms": {}}
        try:
            outcome = await self._go()
        except LibaError as error:
            return failure(NAME, error)
        finally:
            self.told["conversations"] = [f"{name} {known}" for name, known in self._conversations.items()]
        return judged(self.loaded.settings, outcome, self.told["timings_ms"])

    async def _go(self) -> Outcome:
        # The ports that are set are those of the worker that runs here already.
        own = {"agent_name": self.room, "agent_health_port": 0, "metrics_prometheus_port": 0}
        settings = self.loaded.settings.model_copy(update=own)
        services = LocalStack(settings, room=self.room, config_file=self.config_file, log_name="doctor")
        began_at = _now()
        outcome = Outcome()
        try:
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(
                    open_client(self.credentials, room=self.room, agent_name=self.room)
                )
                worker = await asyncio.to_thread(
                    stack.enter_context, services.worker(self.credentials, grace_s=_END_GRACE_S)
                )
                self.told["worker_log"] = str(worker.log_path)
                seat = await stack.enter_async_context(
                    seated(
                        self.credentials,
                        room=self.room,
                        identity=f"liba-listener-{uuid.uuid4().hex[:6]}",
                        agent_name=self.room,
                    )
                )
                await self._until_agent(client, worker.process.poll)
                self._mark("agent_in_room", began_at)
                await self._until_avatar(client, seat, settings)
                self._mark("ready", began_at)
                outcome = await self._say(client, seat)
                await self._look_into_ledger()
                ending_at = _now()
            self._mark("ended", ending_at)
        finally:
            left = await asyncio.to_thread(self._left_behind)
        return Outcome(outcome.report, outcome.heard_s, outcome.first_sound_ms, left)

    async def _until_agent(self, client: AgentClient, poll: Any) -> None:
        deadline = _now() + _WORKER_TIMEOUT_S
        while not await client.find():
            if poll() is not None:
                raise NoAgentError("the worker ended by itself", hint=f"its log: {self.told['worker_log']}")
            if _now() > deadline:
                told = f"the worker did not come into the room within {_WORKER_TIMEOUT_S:g} s"
                raise NoAgentError(told, hint=f"its log: {self.told['worker_log']}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _until_avatar(self, client: AgentClient, seat: Seat, settings: Settings) -> None:
        """Waits for its picture as long as it may take; without it the track speaks, which is told then."""
        bound_s = settings.avatar_join_timeout + _JOIN_MARGIN_S if settings.has_avatar else _JOIN_MARGIN_S
        seen = seat.video.seen if settings.has_avatar else seat.listener.subscribed
        with suppress(TimeoutError):
            async with asyncio.timeout(bound_s):
                while not seen.is_set():
                    await self._look_into_ledger()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_EVERY_S):
                            await seen.wait()
        status = await client.status()
        self.told |= {"agent_epoch": status.facts.epoch, "avatar": status.facts.avatar}
        self.told["voice"] = status.facts.model
        if status.facts.encryption:
            self.told["encryption"] = status.facts.encryption

    async def _say(self, client: AgentClient, seat: Seat) -> Outcome:
        sound, sent_at = seat.listener.start_capture(), _now()
        request = SayRequest(_WORD, id=uuid.uuid4().hex[:12])
        self.told["utterance"] = request.id
        try:
            async with asyncio.timeout(_SPOKEN_TIMEOUT_S):
                await client.say(request)
                report = Report.read(await seat.listener.wait_for(request.id, *FINAL_STATES))
        except TimeoutError as error:
            raise TimedOutError(
                f"the word was not spoken within {_SPOKEN_TIMEOUT_S:g} s",
                hint=f"the worker's log: {self.told['worker_log']}",
            ) from error
        await asyncio.sleep(_TAIL_S)
        self._mark("spoken", sent_at)
        self.told["report"] = report.encode()
        first_ms = None if sound.first_audible_at is None else (sound.first_audible_at - sent_at) * 1000
        if first_ms is not None:
            self.told["timings_ms"]["heard"] = round(first_ms)
        return Outcome(report, sound.speech_s, first_ms)

    async def _look_into_ledger(self) -> None:
        entries = await asyncio.to_thread(Ledger(conversations_path()).entries)
        self._conversations |= {entry.name: entry.id for entry in entries if entry.room == self.room}

    def _left_behind(self) -> tuple[str, ...]:
        entries = Ledger(conversations_path()).entries()
        return tuple(entry.id or entry.name for entry in entries if entry.room == self.room)

    def _mark(self, name: str, since: float) -> None:
        self.told["timings_ms"][name] = round((_now() - since) * 1000)


def judged(settings: Settings, outcome: Outcome, timings_ms: dict[str, int]) -> Finding:
    """What it amounts to."""
    if outcome.left_behind:
        message = (
            f"not ended: conversation {', '.join(outcome.left_behind)}, which costs money as long as it runs"
        )
        return Finding(NAME, "fail", message, "liba reap")
    report = outcome.report
    if report is None or report.state != "done":
        why = f"{report.state}, {report.reason or 'no reason given'}" if report else "no report"
        return Finding(NAME, "fail", f"the word was not spoken: {why}", "see the worker's log, named below")
    if outcome.first_sound_ms is None:
        message = "the agent spoke, and a viewer of ours heard nothing"
        return Finding(NAME, "fail", message, "see `media` above, and the worker's log")
    way = "the avatar" if report.route == "avatar" else "the track"
    told = f"one word was heard by {way}, {outcome.first_sound_ms:.0f} ms after it was sent"
    if settings.has_avatar and report.route != "avatar":
        why = report.route_reason or "no reason given"
        return Finding(
            NAME, "warn", f"{told}, without the avatar: {why}", "see the worker's log, named below"
        )
    ended = (
        f"; all was ended {timings_ms.get('ended', 0) / 1000:.1f} s later" if timings_ms.get("ended") else ""
    )
    return Finding(NAME, "ok", f"{told} (route {route_word(report.route)}){ended}")


def facts_of(loaded: LoadedSettings) -> dict[str, Any]:
    """Versions, addresses and settings that are not the defaults; secrets masked."""
    settings = loaded.settings
    given = {
        toml_name(field): str(shown_value(field, getattr(settings, field)))
        for field, origin in loaded.origins.items()
        if origin != "default" and field != "serve_keys"
    }
    secrets = secrets_of(settings, os.environ)
    return {
        "liba": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "addresses": {
            "livekit": without_password(settings.livekit_url),
            "speech": without_password(settings.openai_base_url) or "OpenAI's own",
            "avatar": without_password(settings.tavus_base_url),
        },
        "settings": {name: masked(value, secrets) for name, value in given.items()},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _now() -> float:
    return asyncio.get_running_loop().time()
