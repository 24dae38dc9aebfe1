"""The worker: takes rooms from LiveKit, has an agent enter each, and keeps one alive there."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from livekit.agents import NOT_GIVEN, AgentServer, JobExecutorType, JobRequest

from libacli.config import LiveKitCredentials, Settings
from libacli.core.capacity import load
from libacli.core.protocol import STATE_ATTRIBUTE
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor, make_avatar_service
from libacli.edges.avatars.ending import end_orphans
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.livekit.agent_state import FIRST_STATE
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.leader import Pulse, pulse
from libacli.edges.livekit.signs_of_life import SignsOfLife
from libacli.edges.livekit.supervisor import Supervisor
from libacli.edges.livekit.tokens import AGENT_IDENTITY_PREFIX
from libacli.edges.metrics.worker import worker_metrics
from libacli.edges.voices.choose import load_plugins
from libacli.errors import AvatarError, UnreachableError
from libacli.masking import without_password
from libacli.room_agent import DRAIN_TIMEOUT_S, FLUSH_TIMEOUT_S
from libacli.room_job import RoomJobs

logger = logging.getLogger("liba.agent")

_REAP_TIMEOUT_S = 60.0
"""For what earlier agents have left behind, before the first room is taken."""

_CLEAN_UP_TIMEOUT_S = 5.0
"""The same between two looks of the supervisor, which it holds up: as long as those are apart."""

_LAST_REAP_TIMEOUT_S = 2.0
"""The same at the end: what is left of the time for leaving, when rooms had nothing to finish."""

_LOOK_BACK_EVERY_S = 60.0
"""Between two looks at what agents that are gone may have left behind: one that was being asked for when its
agent was killed begins up to two minutes later."""

_AVATAR_END_S = 4.5
"""What the SDK leaves a job for ending its avatar, when it has finished speaking; as `end_surely` needs."""

_PROCESS_END_S = 3.0
"""What the SDK leaves a room's process for leaving the room and ending itself, before it kills it."""

_MODELS = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
"""Whether the SDK loads conversation models when it warms a process up; liba never uses them."""

_GIVEN_UP = "failed to connect to livekit after"
"""How the message of the RuntimeError begins that `AgentServer.run` raises then (livekit-agents 1.8)."""


class Worker:
    """Takes the rooms that LiveKit dispatches to `agent.name`, and looks after them. Implements `Agents`.

    Rooms tell their metrics on `metrics_socket`, and show by `signs` that they live.
    """

    def __init__(
        self,
        settings: Settings,
        api: LiveKitApi,
        *,
        metrics_socket: Path | None = None,
        signs: SignsOfLife | None = None,
    ) -> None:
        self._settings = settings
        self._api = api
        self._signs = signs or SignsOfLife()
        self._jobs = RoomJobs(settings, metrics_socket, self._signs.address)
        self._entering = 0
        self._is_full = False
        self.server = _make_server(settings, self._load)
        self.server.setup_fnc = self._jobs.prewarm
        self.server.rtc_session(
            self._jobs.enter,
            agent_name=settings.agent_name,
            on_request=self._take,
            on_session_end=self._jobs.leave,
        )
        self.supervisor = Supervisor(api, self, settings.agent_name)

    async def run(self, *, rooms: Sequence[str] = ()) -> None:
        """Works until cancelled, then drains. Goes into `rooms` once it is registered.

        Raises UnreachableError when LiveKit is gone for longer than the worker goes on trying.
        """
        # 244 MB. The SDK reads it in each process that it makes, and before the first room in this one.
        os.environ.setdefault(_MODELS, "0")
        self.supervisor.pin(rooms)
        registered = asyncio.Event()
        self.server.on("worker_registered", lambda *_: registered.set())
        self.server.on("worker_registered", lambda *_: self.supervisor.send_again())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.server.run())
                tasks.create_task(self._look_back())
                try:
                    await registered.wait()
                    settings = self._settings
                    logger.info("worker is ready: agent=%s url=%s", settings.agent_name, settings.livekit_url)
                    logger.info("avatar: %s", _avatar_words(settings))
                    logger.info('next: liba say "Hello." --room %s', settings.say_room)
                    await self.supervisor.run()
                finally:
                    await self.server.aclose()
        except ExceptionGroup as group:
            if not group.subgroup(_has_given_up):
                raise
            raise UnreachableError("LiveKit was gone for too long", hint="start the agent again") from group

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
        await _reap_what_was_left(self._settings, within_s=_CLEAN_UP_TIMEOUT_S)

    async def _look_back(self) -> None:
        """Ends what is left behind while this worker runs, as far as it is known by then; until cancelled."""
        if self._settings.has_avatar:
            while True:
                await asyncio.sleep(_LOOK_BACK_EVERY_S)
                if await asyncio.to_thread(Ledger(conversations_path()).orphans):
                    await self.clean_up()

    async def _take(self, request: JobRequest) -> None:
        """Takes a room as long as there are fewer than the most, those that are being entered included."""
        most = self._settings.agent_max_rooms
        if self._taken() >= most:
            logger.warning("room %s is refused: %d rooms are taken", request.room.name, most)
            await request.reject(terminate=False)  # else LiveKit asks no other worker either
            return
        self._entering += 1
        try:
            identity = f"{AGENT_IDENTITY_PREFIX}{request.id[-8:]}"
            await request.accept(identity=identity, name="liba", attributes={STATE_ATTRIBUTE: FIRST_STATE})
            self.supervisor.supervise(request.room.name, identity)
        finally:
            self._entering -= 1

    def _taken(self) -> int:
        return len(self.server.active_jobs) + self._entering

    def _load(self, _: AgentServer) -> float:
        """What the SDK asks for twice a second, in a thread, and tells LiveKit; says it when all is taken."""
        taken, most = self._taken(), self._settings.agent_max_rooms
        if (taken >= most) != self._is_full:
            self._is_full = not self._is_full
            if self._is_full:
                logger.warning(
                    "full: %d of %d rooms are taken; what comes now is for other workers", taken, most
                )
            else:
                logger.info("no longer full: %d of %d rooms are taken", taken, most)
        return load(taken, most)


def _make_server(settings: Settings, load_fnc: Callable[[AgentServer], float]) -> AgentServer:
    credentials = settings.livekit()
    if settings.agent_isolation == "thread":
        load_plugins(settings)
    return AgentServer(
        ws_url=credentials.ws_url,
        api_key=credentials.api_key,
        api_secret=credentials.api_secret.get_secret_value(),
        host="127.0.0.1",
        port=settings.agent_health_port,
        job_executor_type=JobExecutorType(settings.agent_isolation),
        num_idle_processes=1,
        # Rooms, not CPU: a busy machine would silently get no job, and LiveKit does not ask again.
        load_fnc=load_fnc,
        # A threshold would make the worker refuse a second room while it enters its first: `Worker` counts.
        load_threshold=math.inf,
        preload_modules=["libacli.room_job", "libacli.edges.voices.speech"],  # once, for all room processes
        session_end_timeout=DRAIN_TIMEOUT_S + FLUSH_TIMEOUT_S + _AVATAR_END_S,
        shutdown_process_timeout=_PROCESS_END_S,
        http_proxy=None if credentials.is_loopback else NOT_GIVEN,
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

    Raises CredentialsError or UnreachableError when LiveKit cannot be used.
    """
    credentials = settings.livekit()
    if settings.say_accept == "anyone":
        logger.warning("say.accept=anyone: everybody in the room may make the agent speak")
    if settings.say_accept == "attribute":
        logger.warning(
            "say.accept=attribute: liba.say=true in a token lets speak, whoever wrote it there; "
            "a token service that copies attributes out of requests lets everybody"
        )
    await _check(credentials, settings.say_room)
    await _reap_what_was_left(settings, within_s=_REAP_TIMEOUT_S)
    signs = SignsOfLife()
    async with (
        worker_metrics(settings, os.environ) as metrics_socket,
        signs.listening(),
        LiveKitApi(credentials, departure_timeout_s=settings.departure_timeout_s) as api,
    ):
        try:
            yield Worker(settings, api, metrics_socket=metrics_socket, signs=signs)
        finally:  # a room that was killed a moment ago has left its avatar behind, and nobody looks any more
            await _reap_what_was_left(settings, within_s=_LAST_REAP_TIMEOUT_S)


async def _check(credentials: LiveKitCredentials, room: str) -> None:
    """One cheap call, because the worker itself would only try again and again, whatever is wrong."""
    async with LiveKitApi(credentials) as api:
        await api.participants(room)


async def _reap_what_was_left(settings: Settings, *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            if count := await reap(settings):
                logger.warning("ended %d conversations that an earlier agent had left behind", count)
    except (AvatarError, TimeoutError) as error:
        reason = str(error) or "no answer"
        logger.warning("could not end what an earlier agent left behind: %s; liba reap", reason)


async def reap(settings: Settings) -> int:
    """Ends the conversations that agents which are gone have left behind; returns how many those were.

    Raises AvatarError when the service cannot be asked.
    """
    service = make_avatar_service(settings)
    if service is None:
        return 0
    async with service:
        return await end_orphans(service, Ledger(conversations_path()))
