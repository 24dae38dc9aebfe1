"""The worker: takes rooms from LiveKit and puts a speaker into each. Settings → edges → speaker."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from libacli.config import LiveKitCredentials, Settings
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.voices.choose import make_voice
from libacli.errors import AvatarError, UnreachableError

# Conversation models that liba never uses cost 244 MB; this is read when livekit.agents is imported.
os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")

from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    AgentServer,
    AutoSubscribe,
    JobContext,
    JobExecutorType,
    JobProcess,
    JobRequest,
)

from libacli.edges.avatars.ending import end_by_name, end_surely
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.leader import is_leader, pulse
from libacli.edges.livekit.supervisor import Supervisor
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.rooms_to_worker import RoomMeter
from libacli.edges.metrics.store import MetricsStore, metrics_path
from libacli.edges.metrics.worker import fleet
from libacli.room_agent import DRAIN_TIMEOUT_S, RoomAgent

logger = logging.getLogger("liba.agent")

_HURRY = signal.SIGUSR2
"""Tells a room process to end its avatar and itself; an idle one just ends."""

_in_threads: dict[RoomAgent, asyncio.AbstractEventLoop] = {}
"""Agents of this process, when rooms are threads of it."""


def make_server(
    settings: Settings,
    *,
    meter_line: Path | None = None,
    on_job: Callable[[str, str], None] = lambda room, identity: None,
) -> AgentServer:
    """A LiveKit Agents worker for rooms dispatched to `agent.name`; they tell metrics on `meter_line`.

    `on_job(room, identity)` is called when an agent has been started for a room.
    """
    credentials = settings.livekit()
    server = AgentServer(
        ws_url=credentials.ws_url,
        api_key=credentials.api_key,
        api_secret=credentials.api_secret.get_secret_value(),
        host="127.0.0.1",
        port=settings.agent_health_port,
        job_executor_type=JobExecutorType(settings.agent_isolation),
        num_idle_processes=1,
        # Rooms, not CPU: a busy machine would silently get no job, and LiveKit does not ask again.
        load_fnc=lambda server: len(server.active_jobs) / settings.agent_max_rooms,
        # A threshold would make the worker refuse a second room while it enters its first; see `_taking`.
        load_threshold=math.inf,
        setup_fnc=functools.partial(_prewarm, settings),
        preload_modules=["libacli.worker", "libacli.edges.voices.openai"],  # once, for all room processes
        session_end_timeout=DRAIN_TIMEOUT_S + 4.5,  # finish speaking, then end the avatar
        shutdown_process_timeout=3.0,
        http_proxy=None if credentials.is_loopback else NOT_GIVEN,
    )
    server.rtc_session(
        functools.partial(_join, settings, meter_line),
        agent_name=settings.agent_name,
        on_request=_taking(server, settings.agent_max_rooms, on_job),
        on_session_end=_leave,
    )
    return server


def _taking(
    server: AgentServer, max_rooms: int, on_job: Callable[[str, str], None]
) -> Callable[[JobRequest], Coroutine[None, None, None]]:
    """Takes rooms as long as there are fewer than `max_rooms`, those that are being entered included."""
    entering = 0

    async def take(request: JobRequest) -> None:
        nonlocal entering
        if len(server.active_jobs) + entering >= max_rooms:
            logger.warning("room %s is refused: %d rooms are taken", request.room.name, max_rooms)
            await request.reject()
            return
        entering += 1
        try:
            identity = f"liba-agent-{request.id[-8:]}"
            await request.accept(identity=identity, name="liba")
            on_job(request.room.name, identity)
        finally:
            entering -= 1

    return take


async def serve(settings: Settings, *, rooms: Sequence[str] = ()) -> None:
    """Runs the worker until cancelled, then drains it. Goes into `rooms` once it is registered.

    Raises CredentialsError or UnreachableError when LiveKit cannot be used.
    """
    credentials = settings.livekit()
    if settings.say_accept == "anyone":
        logger.warning("say.accept=anyone: everybody in the room may make the agent speak")
    await _check(credentials, settings.say_room)
    await _reap_what_was_left(settings, within_s=60.0)
    async with fleet(settings, os.environ) as meter_line, LiveKitApi(credentials) as api:
        supervisor = Supervisor(
            api,
            settings.agent_name,
            pulse=functools.partial(pulse, api, credentials),
            is_running=lambda room: any(job.job.room.name == room for job in server.active_jobs),
            clean_up=functools.partial(_reap_what_was_left, settings, within_s=5.0),
        )
        supervisor.pin(rooms)
        server = make_server(settings, meter_line=meter_line, on_job=supervisor.watch)
        await work(settings, server, supervisor)


async def work(settings: Settings, server: AgentServer, supervisor: Supervisor) -> None:
    """Runs a worker and looks after its rooms until cancelled, then drains it.

    Raises UnreachableError when LiveKit is gone for longer than the worker goes on trying.
    """
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    server.on("worker_registered", lambda *_: supervisor.ask_again())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            try:
                await registered.wait()
                logger.info("worker is ready: agent=%s url=%s", settings.agent_name, settings.livekit_url)
                await supervisor.run()
            finally:
                await server.aclose()
    except* RuntimeError as group:  # what the worker raises when it has given up
        raise UnreachableError("LiveKit was gone for too long", hint="start the agent again") from group


async def _reap_what_was_left(settings: Settings, *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            if count := await reap(settings):
                logger.warning("ended %d conversations that an earlier agent had left behind", count)
    except (AvatarError, TimeoutError) as error:
        reason = error or "no answer"
        logger.warning("could not end what an earlier agent left behind: %s; liba reap", reason)


async def _check(credentials: LiveKitCredentials, room: str) -> None:
    """One cheap call, because the worker itself would only try again and again, whatever is wrong."""
    async with LiveKitApi(credentials) as api:
        await api.participants(room)


async def reap(settings: Settings) -> int:
    """Ends the conversations that agents which are gone have left behind; returns how many those were.

    Raises AvatarError when the service cannot be asked.
    """
    ledger = Ledger(conversations_path())
    orphans = [entry for entry in ledger.orphans() if entry.base_url == settings.tavus_base_url]
    if not orphans or settings.tavus_api_key is None:
        return 0
    async with Tavus(settings.tavus_api_key, settings.tavus_base_url) as tavus:
        for entry in orphans:
            await (end_surely if entry.id else end_by_name)(tavus, ledger, entry)
    return len(orphans)


def _prewarm(settings: Settings, process: JobProcess) -> None:
    process.userdata["voice"] = make_voice(settings)


async def _join(settings: Settings, meter_line: Path | None, context: JobContext) -> None:
    await to_the_end(context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE))
    leads = functools.partial(_leads, settings, context.room)
    if not await leads():
        context.shutdown("already_running")
        return
    agent = RoomAgent(
        settings,
        context.room,
        context.proc.userdata["voice"],
        meters=_meters(settings, meter_line),
        is_leader=leads,
        leave=context.shutdown,
    )
    context.proc.userdata["agent"] = agent
    loop = asyncio.get_running_loop()
    if context.proc.executor_type == JobExecutorType.PROCESS:
        # Service managers signal all processes of a worker, and the SDK its own one when it has broken down.
        loop.add_signal_handler(signal.SIGTERM, context.shutdown, "terminated")
        loop.add_signal_handler(_HURRY, agent.end, functools.partial(os._exit, 128 + _HURRY))
    else:
        _in_threads[agent] = loop
    await agent.start()


def end_at_once() -> None:
    """Has all rooms of this process and of its room processes end their avatars at once, whatever they do.

    Does not wait for it.
    """
    for room in multiprocessing.active_children():
        if room.pid:
            os.kill(room.pid, _HURRY)
    for agent, loop in list(_in_threads.items()):
        loop.call_soon_threadsafe(agent.end)


async def _leads(settings: Settings, room: rtc.Room) -> bool:
    credentials = settings.livekit()
    identity = room.local_participant.identity
    async with LiveKitApi(credentials) as api:
        return await is_leader(
            api, credentials, room=room.name, agent_name=settings.agent_name, identity=identity
        )


def _meters(settings: Settings, meter_line: Path | None) -> list[Meter]:
    meters: list[Meter] = [RoomMeter(meter_line)] if meter_line else []
    if settings.metrics_store:
        keep = {"keep_days": settings.metrics_keep_days, "keep_mb": settings.metrics_keep_mb}
        meters.append(MetricsStore(metrics_path(), **keep))
    return meters


async def _leave(context: JobContext) -> None:
    if agent := context.proc.userdata.get("agent"):
        await agent.close()
        _in_threads.pop(agent, None)
