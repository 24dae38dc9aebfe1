"""The agent in one room: voice, speaker, avatar, track and desk put together."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from livekit import rtc
from platformdirs import user_state_path

from libacli.config import Settings
from libacli.core.backlog import Utterance
from libacli.core.names import AGENT_ATTRIBUTE
from libacli.edges.avatar_session import AvatarSession
from libacli.edges.avatar_sink import AvatarSink
from libacli.edges.ledger import Ledger
from libacli.edges.livekit_room import RoomLink
from libacli.edges.meters import Meter, Meters
from libacli.edges.tavus import Tavus
from libacli.edges.tokens import verify_request
from libacli.edges.track_sink import TrackSink
from libacli.errors import LibaError, RefusedError
from libacli.speech.desk import Authorise, Desk, Sender
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Sink, Voice
from libacli.speech.speaker import Pace, Speaker

logger = logging.getLogger("liba.agent")

WARM_UP_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 10.0


class RoomAgent:
    """The agent in one room: `start` when connected, `close` before leaving."""

    def __init__(
        self,
        settings: Settings,
        room: rtc.Room,
        voice: Voice,
        *,
        ledger: Ledger | None = None,
        meters: Sequence[Meter] = (),
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
        self._session: AvatarSession | None = None
        self._meters = Meters(meters, avatar_time=lambda: self._session.seconds if self._session else 0.0)
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
            describe=self._describe,
            wall_clock=_wall_clock,
            authorise=authoriser(settings, room.name),
            announce=self._announce,
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
        await self._meters.aclose()
        await self._sink.aclose()
        await self._voice.aclose()
        self._ledger.close()

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(self._avatar_session())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speaker.run())
                tasks.create_task(self._link.run())
                tasks.create_task(self._meters.run())
                if self._session:
                    tasks.create_task(self._avatar.listen())
                    tasks.create_task(self._keep_avatar(self._session))

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

    def _describe(self) -> dict[str, Any]:
        return {
            "room": self._room.name,
            "agent": self._settings.agent_name,
            "model": self._voice.model,
            "avatar": self._avatar.state if self._settings.has_avatar else "not configured",
            "queue": self._speaker.queue_length,
        }

    def _announce(self, event: dict[str, Any]) -> None:
        self._link.announce(event)
        self._meters.take(event)

    def _report(self, utterance: Utterance) -> None:
        if utterance.state == "speaking" and self._settings.speech_captions:
            self._link.caption(utterance.request.text, utterance_id=utterance.id, track_sid=self._track_sid)
        self._desk.report(utterance)


def _wall_clock(at: float) -> float:
    return datetime.now(UTC).timestamp() + at - asyncio.get_running_loop().time()


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


def conversations_path() -> Path:
    """Where conversations are noted down until they have ended."""
    return user_state_path("liba") / "conversations"
