"""The worker: takes rooms from LiveKit and puts a speaker into each. Settings → edges → speaker."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import math
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from libacli.config import LiveKitCredentials, Settings
from libacli.core.backlog import Utterance
from libacli.core.names import AGENT_ATTRIBUTE
from libacli.edges.ledger import Ledger
from libacli.edges.livekit_api import LiveKitApi
from libacli.edges.tokens import verify_request
from libacli.edges.voices import make_voice
from libacli.errors import AvatarError, LibaError, RefusedError, UnreachableError
from libacli.speech.desk import Authorise, Desk, Sender
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Sink, Voice
from libacli.speech.speaker import Pace, Speaker

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

from libacli.edges.avatar_session import AvatarSession, end_by_name, end_surely
from libacli.edges.avatar_sink import AvatarSink
from libacli.edges.joining import to_the_end
from libacli.edges.livekit_room import RoomLink
from libacli.edges.tavus import Tavus
from libacli.edges.track_sink import TrackSink

logger = logging.getLogger("liba.agent")

WARM_UP_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 10.0


class RoomAgent:
    """The agent in one room: `start` when connected, `close` before leaving."""

    def __init__(
        self, settings: Settings, room: rtc.Room, voice: Voice, *, ledger: Ledger | None = None
    ) -> None:
        self._settings = settings
        self._ledger = ledger or Ledger(conversations_path())
        self._room = room
        self._voice = voice
        self._track = TrackSink(room, reason="not configured")
        self._avatar = AvatarSink(room, audible_timeout_s=settings.tavus_audible_timeout)
        self._sink: Sink = FallbackSink(self._avatar, self._track) if settings.has_avatar else self._track
        self._link = RoomLink(room)
        self._track_sid = ""
        self.epoch = uuid.uuid4().hex[:8]
        self._speaker = Speaker(
            voice,
            self._sink,
            on_change=self._report,
            pace=Pace(
                max_chunk_chars=settings.speech_max_chunk_chars,
                first_chunk_chars=settings.speech_first_chunk_chars,
                silence_tail_ms=settings.speech_silence_tail_ms,
                sink_timeout_s=settings.speech_sink_timeout,
            ),
            queue_limit=settings.say_queue_limit,
        )
        self._desk = Desk(
            self._speaker,
            epoch=self.epoch,
            authorise=authoriser(settings, room.name),
            announce=self._link.announce,
            max_text_chars=settings.say_max_text_chars,
        )
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Publishes the track, warms the voice up, and lets it be known that requests are taken."""
        self._track_sid = await self._track.open()
        if self._settings.has_avatar:
            self._avatar.open()
        logger.info("Published audio track for speech: %s", self._track_sid)
        # The job owns this task: the framework calls `start` and `close` from tasks of its own.
        self._running = asyncio.get_running_loop().create_task(self._run())
        await self._warm_up()
        # What is loaded by now stays: without this a full collection would stop the audio for 50 ms and more.
        gc.collect()
        gc.freeze()
        self._link.serve(self._desk)
        await self._room.local_participant.set_attributes(
            {AGENT_ATTRIBUTE: self._settings.agent_name, f"{AGENT_ATTRIBUTE}.epoch": self.epoch}
        )
        logger.info(
            "ready in room %s: agent=%s epoch=%s", self._room.name, self._settings.agent_name, self.epoch
        )

    async def close(self) -> None:
        """Finishes what was accepted, within 10 s, and releases everything."""
        if self._running is None:
            return
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S if self._room.isconnected() else 0.01):
                await self._speaker.drain()
                await self._link.flush()
        except TimeoutError:
            self._speaker.stop(reason="the agent stopped")
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._sink.aclose()
        await self._voice.aclose()
        self._ledger.close()

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            avatar = await stack.enter_async_context(self._avatar_session())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speaker.run())
                tasks.create_task(self._link.run())
                if avatar:
                    tasks.create_task(self._avatar.listen())
                    tasks.create_task(self._keep_avatar(avatar))

    async def _keep_avatar(self, session: AvatarSession) -> None:
        try:
            await session.run()
        except Exception as error:  # a defect there must not take the speaker down with it
            logger.error("no avatar any more", exc_info=error)
            self._avatar.absent("not available")

    @asynccontextmanager
    async def _avatar_session(self) -> AsyncIterator[AvatarSession | None]:
        key = self._settings.tavus_api_key
        if key is None or not self._settings.has_avatar:
            yield None
            return
        async with Tavus(key, self._settings.tavus_base_url) as tavus:
            yield AvatarSession(
                self._room,
                self._avatar,
                tavus,
                settings=self._settings,
                credentials=self._settings.livekit(),
                ledger=self._ledger,
            )

    async def _warm_up(self) -> None:
        try:
            async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                await self._voice.warm_up()
        except TimeoutError:
            logger.warning(
                "the voice was not warm within %g s; the first line may be late", WARM_UP_TIMEOUT_S
            )
        except LibaError as error:
            logger.error("the voice does not work: %s%s", error, f" - {error.hint}" if error.hint else "")

    def _report(self, utterance: Utterance) -> None:
        if utterance.state == "speaking" and self._settings.speech_captions:
            self._link.caption(utterance.request.text, utterance_id=utterance.id, track_sid=self._track_sid)
        self._desk.report(utterance)


def authoriser(settings: Settings, room: str) -> Authorise:
    """The rule who may make the agent of `room` speak."""
    credentials = settings.livekit()

    def authorise(method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> None:
        if settings.say_accept == "anyone":
            return
        if auth is not None:
            verify_request(credentials, auth, room=room, method=method, body=body)
        elif not sender.identity:
            raise RefusedError(
                "the sender is not known: it is hidden, or joined a moment ago",
                reason="unknown_sender",
                hint="send it again in some seconds, or sign it",
            )
        elif not sender.may_say:
            raise RefusedError(
                "the request is not signed, and its sender's token does not allow it",
                reason="unauthorized",
                hint="send it with `liba say`, or from a participant with a token of `liba token --can-say`",
            )

    return authorise


def make_server(settings: Settings) -> AgentServer:
    """A LiveKit Agents worker that takes rooms dispatched to `agent.name`."""
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
        # A threshold would make the worker refuse a second room while it enters its first; see `accept`.
        load_threshold=math.inf,
        setup_fnc=functools.partial(_prewarm, settings),
        preload_modules=["libacli.agent", "libacli.edges.openai_voice"],  # once, for all room processes
        session_end_timeout=DRAIN_TIMEOUT_S + 4.5,  # finish speaking, then end the avatar
        shutdown_process_timeout=3.0,
        http_proxy=None if credentials.is_loopback else NOT_GIVEN,
    )
    entering = 0

    async def accept(request: JobRequest) -> None:
        nonlocal entering
        if len(server.active_jobs) + entering >= settings.agent_max_rooms:
            logger.warning(
                "room %s is refused: %d rooms are taken", request.room.name, settings.agent_max_rooms
            )
            await request.reject()
            return
        entering += 1
        try:
            await request.accept(identity=f"liba-agent-{request.id[-8:]}", name="liba")
        finally:
            entering -= 1

    server.rtc_session(
        functools.partial(_join, settings),
        agent_name=settings.agent_name,
        on_request=accept,
        on_session_end=_leave,
    )
    return server


async def serve(settings: Settings, *, rooms: Sequence[str] = ()) -> None:
    """Runs the worker until cancelled, then drains it. Goes into `rooms` once it is registered.

    Raises CredentialsError or UnreachableError when LiveKit cannot be used.
    """
    credentials = settings.livekit()
    if settings.say_accept == "anyone":
        logger.warning("say.accept=anyone: everybody in the room may make the agent speak")
    await _check(credentials, settings.say_room)
    await _reap_what_was_left(settings)
    server = make_server(settings)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    try:
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(server.run())
            try:
                await registered.wait()
                logger.info("worker is ready: agent=%s url=%s", settings.agent_name, credentials.url)
                await _enter(settings, rooms)
                await asyncio.wait([worker])
            finally:
                await server.aclose()
    except* RuntimeError as group:  # what the worker raises when it has given up
        raise UnreachableError("LiveKit was gone for too long", hint="start the agent again") from group


async def _reap_what_was_left(settings: Settings) -> None:
    try:
        if count := await reap(settings):
            logger.warning("ended %d conversations that an earlier agent had left behind", count)
    except AvatarError as error:
        logger.warning("could not end what an earlier agent left behind: %s", error)


async def _check(credentials: LiveKitCredentials, room: str) -> None:
    """One cheap call, because the worker itself would only try again and again, whatever is wrong."""
    async with LiveKitApi(credentials) as api:
        await api.participants(room)


async def _enter(settings: Settings, rooms: Sequence[str]) -> None:
    async with LiveKitApi(settings.livekit()) as api:
        for room in rooms:
            if await api.find_agent(room, settings.agent_name):
                logger.info("an agent is in room %s already", room)
            else:
                await api.dispatch(room, settings.agent_name)


def conversations_path() -> Path:
    """Where conversations are noted down until they have ended."""
    return user_state_path("liba") / "conversations"


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


async def _join(settings: Settings, context: JobContext) -> None:
    await to_the_end(context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE))
    agent = RoomAgent(settings, context.room, context.proc.userdata["voice"])
    context.proc.userdata["agent"] = agent
    await agent.start()


async def _leave(context: JobContext) -> None:
    if agent := context.proc.userdata.get("agent"):
        await agent.close()
