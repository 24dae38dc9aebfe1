"""The worker: takes rooms from LiveKit, has an agent enter each, and keeps one alive there."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from livekit.agents import AgentServer, JobExecutorType, JobRequest

from libacli.config import LiveKitCredentials, Settings
from libacli.core.capacity import load
from libacli.core.protocol import STATE_ATTRIBUTE
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.journal.choose import WaitingRooms, check_journal, rooms_that_wait
from libacli.edges.livekit.agent_server import Server
from libacli.edges.livekit.agent_state import FIRST_STATE
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.leader import Pulse, pulse
from libacli.edges.livekit.room_proxy import room_proxy
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.livekit.signs_of_life import SignsOfLife
from libacli.edges.livekit.supervisor import Supervisor
from libacli.edges.livekit.tokens import AGENT_IDENTITY_PREFIX
from libacli.edges.metrics.worker import worker_metrics
from libacli.edges.orchestrator.probes import Part, Probes
from libacli.edges.redis.connection import redis_to_preload
from libacli.edges.voices.choose import load_plugins, to_preload
from libacli.errors import UnreachableError
from libacli.leftovers import end_leftovers, has_leftovers, open_ledger
from libacli.masking import without_password
from libacli.room_agent import DRAIN_TIMEOUT_S, FLUSH_TIMEOUT_S
from libacli.room_job import RoomJobs
from libacli.shared_counts import SharedCounts

logger = logging.getLogger("liba.agent")

_CLEAN_UP_TIMEOUT_S = 5.0
"""The same between two looks of the supervisor, which it holds up: as long as those are apart."""

_LAST_REAP_TIMEOUT_S = 2.0
"""The same at the end: what is left of the time for leaving, when rooms had nothing to finish."""

_LOOK_BACK_EVERY_S = 30.0
"""Between two looks at what agents that are gone may have left behind: one that was being asked for when its
agent was killed begins up to two minutes later; a machine that is gone is noticed after one."""

_LOOK_BACK_TIMEOUT_S = 30.0
"""For what is found then, beside everything else: agents may have to be asked."""

_AVATAR_END_S = 4.5
"""What the SDK leaves a job for ending its avatar, when it has finished speaking; as `end_surely` needs."""

_PROCESS_END_S = 3.0
"""What the SDK leaves a room's process for leaving the room and ending itself, before it kills it."""

_MODELS = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
"""Whether the SDK loads conversation models when it warms a process up; liba never uses them."""

_START_PATIENCE_S = 30.0
_START_PAUSE_S = 1.0
"""Several containers are started at once, and the server is not always the first that is there."""

_GIVEN_UP = "failed to connect to livekit after"
"""How the message of the RuntimeError begins that `AgentServer.run` raises then (livekit-agents 1.8)."""


class Worker:
    """Takes the rooms that LiveKit dispatches to `agent.name`, and looks after them. Implements `Agents`.

    Rooms tell their metrics on `metrics_socket`, and show by `signs` that they live. In `ledger` it looks for
    what was left behind; whoever has made it closes it. `waiting` tells of rooms where lines wait that an
    earlier agent has accepted.
    """

    def __init__(
        self,
        settings: Settings,
        api: LiveKitApi,
        *,
        metrics_socket: Path | None = None,
        signs: SignsOfLife | None = None,
        ledger: ConversationLedger | None = None,
        waiting: WaitingRooms | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger or SharedCounts(settings).ledger()
        self._api = api
        self._signs = signs or SignsOfLife()
        self._jobs = RoomJobs(settings, metrics_socket, self._signs.address)
        self._entering = 0
        self._is_full = False
        self._is_ending = False
        self.registered = asyncio.Event()
        """LiveKit knows it, for the first time."""

        self.server = _make_server(settings, self._load)
        self.server.setup_fnc = self._jobs.prewarm
        self.server.rtc_session(
            self._jobs.enter,
            agent_name=settings.agent_name,
            on_request=self._take,
            on_session_end=self._jobs.leave,
        )
        self.supervisor = Supervisor(api, self, settings.agent_name, waiting=waiting)

    async def run(self, *, rooms: Sequence[str] = ()) -> None:
        """Works until cancelled, then drains. Goes into `rooms` once it is registered.

        Raises UnreachableError when LiveKit is gone for longer than the worker goes on trying, and what
        `RoomProcesses.watch` raises.
        """
        # 244 MB. The SDK reads it in each process that it makes, and before the first room in this one.
        os.environ.setdefault(_MODELS, "0")
        self.supervisor.pin(rooms)
        self.server.on("worker_registered", lambda *_: self.registered.set())
        self.server.on("worker_registered", lambda *_: self.supervisor.send_again())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.server.run())
                tasks.create_task(self._look_back())
                tasks.create_task(self.server.processes.watch(self.server))
                tasks.create_task(self._ledger.keep())
                try:
                    await self.registered.wait()
                    settings = self._settings
                    logger.info("worker is ready: agent=%s url=%s", settings.agent_name, settings.livekit_url)
                    logger.info("avatar: %s", _avatar_words(settings))
                    logger.info('next: liba say "Hello." --room %s', settings.say_room)
                    await self.supervisor.run()
                finally:
                    self._is_ending = True
                    await self.server.aclose()
        except ExceptionGroup as group:
            if not group.subgroup(_has_given_up):
                raise
            raise UnreachableError("LiveKit was gone for too long", hint="start the agent again") from group

    def parts(self) -> dict[str, Part]:
        """What it needs before it can take a room, and how each of it is. See `Probes`.

        One that is full is well: LiveKit knows by its load, and an orchestrator is not to count it as away.
        """
        server, most = self.server, self._settings.agent_max_rooms
        was_registered, is_registered = self.registered.is_set(), server.is_registered
        away = "the connection to LiveKit is lost" if was_registered else "LiveKit does not know it yet"
        is_warm, trouble = server.processes.has_ready, server.processes.trouble
        taken = self._taken
        return {
            "worker": Part(not self._is_ending, "it is being stopped" if self._is_ending else "it runs"),
            "livekit": Part(is_registered, "registered" if is_registered else away),
            "voice": Part(is_warm, "loaded" if is_warm else trouble or "it is being loaded"),
            "rooms": Part(True, f"{taken} of {most} taken"),
        }

    def end_at_once(self) -> None:
        """Has all rooms end their avatars at once, whatever they do. Does not wait for it."""
        self._jobs.end_at_once()

    async def pulse(self, room: str, identity: str) -> Pulse:
        """See `Agents`."""
        return await pulse(self._api, self._settings.livekit(), room, identity)

    def has_job(self, room: str) -> bool:
        """See `Agents`."""
        return any(running.job.room.name == room for running in self.server.active_jobs)

    def is_well(self, room: str) -> bool:
        """See `Agents`."""
        return self.has_job(room) and self._signs.is_well(room)

    async def clean_up(self) -> None:
        """See `Agents`."""
        await end_leftovers(self._settings, self._ledger, within_s=_CLEAN_UP_TIMEOUT_S)

    async def _look_back(self) -> None:
        """Ends what is left behind while this worker runs, as far as it is known by then; until cancelled."""
        if self._settings.has_avatar:
            while True:
                if await asyncio.to_thread(has_leftovers, self._ledger):
                    within_s = _LOOK_BACK_TIMEOUT_S
                    await end_leftovers(self._settings, self._ledger, within_s=within_s, everywhere=True)
                await asyncio.sleep(_LOOK_BACK_EVERY_S)

    @property
    def _taken(self) -> int:
        """Rooms, those that are being entered included."""
        return len(self.server.active_jobs) + self._entering

    async def _take(self, request: JobRequest) -> None:
        """Takes a room as long as there are fewer than the most."""
        most = self._settings.agent_max_rooms
        if self._taken >= most:
            name = request.room.name
            logger.warning("room %s is refused: %d rooms are taken", name, most, extra={"room": name})
            await request.reject(terminate=False)  # else LiveKit asks no other worker either
            return
        self._entering += 1
        try:
            identity = f"{AGENT_IDENTITY_PREFIX}{request.id[-8:]}"
            await request.accept(identity=identity, name="liba", attributes={STATE_ATTRIBUTE: FIRST_STATE})
            self.supervisor.supervise(request.room.name, identity)
        finally:
            self._entering -= 1

    def _load(self, _: AgentServer) -> float:
        """What the SDK asks for twice a second, in a thread, and tells LiveKit; says it when all is taken."""
        taken, most = self._taken, self._settings.agent_max_rooms
        if (taken >= most) != self._is_full:
            self._is_full = not self._is_full
            if self._is_full:
                logger.warning(
                    "full: %d of %d rooms are taken; what comes now is for other workers", taken, most
                )
            else:
                logger.info("no longer full: %d of %d rooms are taken", taken, most)
        return load(taken, most)


def _make_server(settings: Settings, load_fnc: Callable[[AgentServer], float]) -> Server:
    credentials = settings.livekit()
    if settings.agent_isolation == "thread":
        load_plugins(settings)
    return Server(
        ws_url=credentials.ws_url,
        api_key=credentials.api_key,
        api_secret=credentials.api_secret.get_secret_value(),
        host="127.0.0.1",
        port=0,  # `Probes` passes on what it answers
        job_executor_type=JobExecutorType(settings.agent_isolation),
        num_idle_processes=1,
        # Rooms, not CPU: a busy machine would silently get no job, and LiveKit does not ask again.
        load_fnc=load_fnc,
        # A threshold would make the worker refuse a second room while it enters its first: `Worker` counts.
        load_threshold=math.inf,
        # Once, for all room processes: each would load it in its first room, while it speaks.
        preload_modules=["libacli.room_job", *to_preload(settings), *redis_to_preload(settings)],
        session_end_timeout=DRAIN_TIMEOUT_S + FLUSH_TIMEOUT_S + _AVATAR_END_S,
        shutdown_process_timeout=_PROCESS_END_S,
        http_proxy=room_proxy(credentials.ws_url),  # the SDK would take one without a look at NO_PROXY
    )


def _avatar_words(settings: Settings) -> str:
    vendor = avatar_vendor(settings)
    if not settings.has_avatar:
        return f"none, {vendor.key_variable} is not set: speech goes to a plain track"
    return f"{vendor.title} at {without_password(avatar_base_url(settings))}, once somebody watches"


def _has_given_up(error: BaseException) -> bool:
    """Whether the SDK tries no more to reach LiveKit; it has no class of its own for that."""
    return isinstance(error, RuntimeError) and str(error).startswith(_GIVEN_UP)


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that is ready to `run`, with what earlier ones have left behind ended.

    Raises CredentialsError or UnreachableError when LiveKit cannot be used, ConfigError, also when no queue
    can be written down as the settings want it.
    """
    probes = Probes()
    host, port = settings.agent_health_host, settings.agent_health_port
    async with probes.answering(host, port), _worker(settings) as worker:
        probes.parts = worker.parts
        probes.sdk_port = lambda: worker.server.worker_info.http_port
        yield worker


@asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[Worker]:
    credentials = settings.livekit()
    check_journal(settings)
    if settings.say_accept == "anyone":
        logger.warning("say.accept=anyone: everybody in the room may make the agent speak")
    if settings.say_accept == "attribute":
        logger.warning(
            "say.accept=attribute: liba.say=true in a token lets speak, whoever wrote it there; "
            "a token service that copies attributes out of requests lets everybody"
        )
    await _check(credentials, settings.say_room)
    signs = SignsOfLife()
    async with (
        open_ledger(settings) as ledger,
        worker_metrics(settings, os.environ) as metrics_socket,
        signs.listening(),
        rooms_that_wait(settings, clock=wall_clock) as waiting,
        LiveKitApi(credentials, departure_timeout_s=settings.departure_timeout_s) as api,
    ):
        try:
            yield Worker(
                settings, api, metrics_socket=metrics_socket, signs=signs, ledger=ledger, waiting=waiting
            )
        finally:  # a room that was killed a moment ago has left its avatar behind, and nobody looks any more
            await end_leftovers(settings, ledger, within_s=_LAST_REAP_TIMEOUT_S)


async def _check(credentials: LiveKitCredentials, room: str) -> None:
    """One cheap call, because the worker itself would only try again and again, whatever is wrong."""
    async with LiveKitApi(credentials) as api:
        # What a person starts on this machine is there or not.
        await answering(api, room, within_s=0 if credentials.is_loopback else _START_PATIENCE_S)


async def answering(api: LiveKitApi, room: str, *, within_s: float) -> None:
    """Waits for a server that starts beside this worker, or whose name is not known yet.

    Raises UnreachableError when that takes longer than `within_s`, and at once what else `api` raises.
    """
    clock = asyncio.get_running_loop().time
    until, is_told = clock() + within_s, False
    while True:
        try:
            await api.participants(room)
            return
        except UnreachableError as error:
            if clock() >= until:
                raise
            if not is_told:
                logger.warning("%s; trying for %.0f s", error, within_s)
            is_told = True
        await asyncio.sleep(_START_PAUSE_S)
