"""The agent in one room: voice, speaker, avatar, track and desk put together."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from livekit import rtc

from libacli.config import Settings
from libacli.core.backlog import Utterance
from libacli.core.bounds import Bounds
from libacli.core.event import AgentFacts
from libacli.core.protocol import AGENT_ATTRIBUTE, EPOCH_ATTRIBUTE
from libacli.edges.avatars.choose import make_avatar_service
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.avatars.minutes import AvatarMinutes, avatar_minutes
from libacli.edges.avatars.policy import avatar_policy
from libacli.edges.avatars.session import AvatarSession
from libacli.edges.livekit.authorization import RoomAuthorization, say_caps
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.edges.metrics.meter import Meter, Meters
from libacli.edges.sinks.avatar import AvatarSink
from libacli.edges.sinks.steady import SteadySink
from libacli.edges.sinks.track import TrackSink
from libacli.errors import LibaError
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Sink, Voice
from libacli.speech.speaker import Pace, Speaker

logger = logging.getLogger("liba.agent")

WARM_UP_TIMEOUT_S = 5.0
SUBSCRIBE_TIMEOUT_S = 0.3
DRAIN_TIMEOUT_S = 10.0
LAST_WORD_S = 0.3
"""How long an agent can still be asked about its last line: who waits for it asks ten times a second."""


async def _always() -> bool:
    return True


class RoomAgent:
    """The agent in one room: `start` when connected, `close` before leaving.

    `leave` is called, with the reason, when it cannot go on: it has to be closed then. `is_leader` tells
    after each reconnect whether the room is still its own.
    """

    def __init__(
        self,
        settings: Settings,
        room: rtc.Room,
        voice: Voice,
        *,
        ledger: Ledger | None = None,
        minutes: AvatarMinutes | None = None,
        meters: Sequence[Meter] = (),
        is_leader: Callable[[], Awaitable[bool]] = _always,
        leave: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger or Ledger(conversations_path())
        self._minutes = minutes or avatar_minutes(settings)
        self._room = room
        self._voice = voice
        self._track = TrackSink(room, reason="not configured")
        bounds = _bounds(settings)
        self._avatar = AvatarSink(room, audible_timeout_s=settings.avatar_audible_timeout, bounds=bounds)
        self._sink: Sink = SteadySink(
            room,
            FallbackSink(self._avatar, self._track, bounds=bounds) if settings.has_avatar else self._track,
            bounds=bounds,
        )
        self._is_leader = is_leader
        self._leave = leave
        self._transport = RoomTransport(room, on_takeover=self._on_takeover)
        self._session: AvatarSession | None = None
        self._meters = Meters(meters, avatar_time=lambda: self._session.seconds if self._session else 0.0)
        self.epoch = uuid.uuid4().hex[:8]
        self._announcer = Announcer(
            self._facts, _wall_clock, (self._transport, self._meters), on_begin=self._caption
        )
        self._speaker = Speaker(
            voice,
            self._sink,
            on_change=self._announcer.announce,
            pace=_pace(settings),
            bounds=bounds,
            queue_limit=settings.say_queue_limit,
        )
        self._desk = self._make_desk()
        self._running: asyncio.Task[None] | None = None

    def _make_desk(self) -> Desk:
        settings = self._settings
        return Desk(
            self._speaker,
            self._announcer,
            RoomAuthorization(settings, self._room.name, agent=self._room.local_participant.identity),
            max_text_chars=settings.say_max_text_chars,
            caps=say_caps(settings),
            other_caps=self._minutes.usage,
            ttl_s=settings.say_ttl,
        )

    async def start(self) -> None:
        """Publishes the track, warms the voice up, and lets it be known that requests are taken."""
        await self._track.open()
        if self._settings.has_avatar:
            self._avatar.open()
        logger.info("Published audio track for speech: %s", self._track.sid)
        # The job owns this task: the framework calls `start` and `close` from tasks of its own.
        self._running = asyncio.get_running_loop().create_task(self._run())
        self._running.add_done_callback(self._on_end)
        await self._warm_up()
        if self._room.remote_participants:
            await self._track.subscribed(within_s=SUBSCRIBE_TIMEOUT_S)
        # What is loaded by now stays: without this a full collection would stop the audio for 50 ms and more.
        gc.collect()
        gc.freeze()
        self._transport.serve(self._desk)
        await self._make_known()
        logger.info(
            "ready in room %s: agent=%s epoch=%s", self._room.name, self._settings.agent_name, self.epoch
        )

    async def close(self) -> None:
        """Finishes what was accepted, within 10 s, and releases everything."""
        if self._running is None:
            return
        self._speaker.close()  # first of all: what comes next may take a second
        await self._transport.look_for_takeover(self._settings.livekit(), self.epoch)
        try:
            can_speak = self._room.isconnected() and not self._running.done()
            is_busy = self._speaker.speaking or self._speaker.queue_length
            async with asyncio.timeout(DRAIN_TIMEOUT_S if can_speak else 0.01):
                await self._speaker.drain()
                await self._transport.flush()
                if is_busy:
                    await asyncio.sleep(LAST_WORD_S)
        except TimeoutError:
            self._speaker.stop(reason="the agent stopped")
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._meters.aclose()
        await self._sink.aclose()
        await self._voice.aclose()
        self._ledger.close()

    def end(self, then: Callable[[], None] = lambda: None) -> None:
        """Ends the avatar without another word, and whatever else is going on; then calls `then`."""
        if self._running:
            self._running.cancel()
            self._running.add_done_callback(lambda _: then())

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(self._avatar_session())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speaker.run())
                tasks.create_task(self._transport.run())
                tasks.create_task(self._meters.run())
                tasks.create_task(self._stay_known())
                if self._session:
                    tasks.create_task(self._avatar.listen())
                    tasks.create_task(self._keep_avatar(self._session))

    def _on_end(self, running: asyncio.Task[None]) -> None:
        if not running.cancelled() and (error := running.exception()):
            logger.error("the agent in room %s cannot go on", self._room.name, exc_info=error)
            self._leave("defect")

    async def _make_known(self) -> None:
        await self._room.local_participant.set_attributes(
            {AGENT_ATTRIBUTE: self._settings.agent_name, EPOCH_ATTRIBUTE: self.epoch}
        )

    async def _stay_known(self) -> None:
        """After a reconnect: the server may know nothing of this agent, or another one be in its place."""
        reconnected = asyncio.Event()
        self._room.on("reconnected", lambda *_: reconnected.set())
        while True:
            await reconnected.wait()
            reconnected.clear()
            if not await self._is_leader():
                self._speaker.stop(reason="another agent took its place")
                self._leave("already_running")
                return
            try:
                await self._make_known()
            except Exception as error:  # the SDK has one class per call; mostly it is reconnecting once more
                logger.warning("the agent is not known in the room: %s; trying again", error)
                await asyncio.sleep(1.0)
                reconnected.set()

    async def _keep_avatar(self, session: AvatarSession) -> None:
        try:
            await session.run()
        except Exception as error:  # a defect there must not take the speaker down with it
            logger.error("no avatar any more", exc_info=error)
            self._avatar.absent("not available")

    @asynccontextmanager
    async def _avatar_session(self) -> AsyncIterator[AvatarSession | None]:
        service = make_avatar_service(self._settings) if self._settings.has_avatar else None
        if service is None:
            yield None
            return
        async with service:
            yield AvatarSession(
                self._room,
                self._avatar,
                service,
                policy=avatar_policy(self._settings),
                credentials=self._settings.livekit(),
                ledger=self._ledger,
                minutes=self._minutes,
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

    def _facts(self) -> AgentFacts:
        return AgentFacts(
            room=self._room.name,
            agent=self._settings.agent_name,
            model=self._voice.model,
            avatar=self._avatar.state if self._settings.has_avatar else "not configured",
            queue=self._speaker.queue_length,
            epoch=self.epoch,
        )

    def _on_takeover(self) -> None:
        self._meters.refuse("takeover")

    def _caption(self, utterance: Utterance) -> None:
        if self._settings.speech_captions:
            self._transport.caption(
                utterance.request.text, utterance_id=utterance.id, track_sid=self._track.sid
            )


def _pace(settings: Settings) -> Pace:
    return Pace(
        max_chunk_chars=settings.speech_max_chunk_chars,
        first_chunk_chars=settings.speech_first_chunk_chars,
        silence_tail_ms=settings.speech_silence_tail_ms,
    )


def _bounds(settings: Settings) -> Bounds:
    gate_s = settings.avatar_ready_timeout if settings.has_avatar else None
    return Bounds.derive(frame_s=settings.speech_sink_timeout, gate_s=gate_s)


def _wall_clock(at: float) -> float:
    return datetime.now(UTC).timestamp() + at - asyncio.get_running_loop().time()
