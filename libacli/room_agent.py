"""The agent in one room, from its first word to its last: how it begins, stays and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from typing import Protocol

from libacli.core.bounds import AUDIENCE_S
from libacli.core.protocol import AGENT_ATTRIBUTE, EPOCH_ATTRIBUTE
from libacli.edges.avatars.viewers import is_heard
from libacli.errors import LibaError
from libacli.room_parts import Parts
from libacli.room_sinks import AvatarParts
from libacli.speech.scribe import Scribe

logger = logging.getLogger("liba.agent")

WARM_UP_TIMEOUT_S = 5.0
"""A voice that needs longer is late for its first line alone; whoever waits for the agent is not to."""

AGENT_SUBSCRIBE_TIMEOUT_S = 0.3
"""How long other agents may need to take the track, who seldom take it at all."""

DRAIN_TIMEOUT_S = 10.0
"""For what was accepted, after the agent was told to go: it must be out within 15 s."""

FLUSH_TIMEOUT_S = 0.5
"""For the last events of what that has cut off: some messages to the server, which answers in milliseconds.
The avatar is ended after it, and costs money until then."""

LAST_WORD_S = 0.3
"""How long an agent can still be asked about its last line: who waits for it asks ten times a second."""

_HOPELESS_S = 0.01
"""For draining when nothing can be spoken any more: it is enough to see that nothing waits."""

_KNOWN_AGAIN_S = 1.0
"""Between tries to be known again after a reconnect; mostly the SDK is reconnecting once more."""


class Job(Protocol):
    """What an agent asks of whoever has sent it into the room."""

    async def is_leader(self) -> bool:
        """Whether the room is still its own; asked after each reconnect. Raises nothing."""

    def leave(self, reason: str) -> None:
        """It cannot go on: it has to be ended. Returns at once."""


@asynccontextmanager
async def agent_in_room(parts: Parts, job: Job) -> AsyncIterator[None]:
    """An agent that takes requests as long as the body lasts, then finishes what it accepted, within 10 s.

    A body that is cancelled or fails ends it at once, without another word. Whatever the way out, the avatar
    is ended, and everything is closed in order, also when closing one thing fails.
    """
    async with AsyncExitStack() as closing:
        closing.push_async_callback(parts.shared.aclose)
        closing.push_async_callback(asyncio.to_thread, parts.ledger.close)
        closing.push_async_callback(parts.people.aclose)
        closing.push_async_callback(parts.voice.aclose)
        closing.push_async_callback(parts.sink.aclose)
        closing.push_async_callback(parts.meters.aclose)
        for keeper in reversed(parts.hour_keepers):
            closing.push_async_callback(keeper.aclose)
        if parts.scribe:
            closing.push_async_callback(parts.scribe.aclose)
        if parts.avatar:
            await closing.enter_async_context(parts.avatar.service)
        tasks = await closing.enter_async_context(asyncio.TaskGroup())
        agent = _RoomAgent(parts, job)
        await agent.open()
        running = tasks.create_task(agent.run())
        closing.callback(running.cancel)
        await agent.begin()
        yield
        await agent.finish()


@cache
def _keep_what_is_loaded() -> None:
    """What is loaded by now stays: else a full collection would stop the audio for 50 ms and more.

    Once for a process: what a room leaves behind in it could never be collected after a second time.
    """
    gc.collect()
    gc.freeze()


class _RoomAgent:
    def __init__(self, parts: Parts, job: Job) -> None:
        self._parts = parts
        self._job = job
        self._is_broken = False
        self._is_warm = asyncio.Event()
        self._reconnected = asyncio.Event()
        parts.room.on("reconnected", self._on_reconnected)

    async def open(self) -> None:
        """Publishes the track, so that it stands ready before the first word."""
        parts = self._parts
        await parts.track.open()
        if parts.avatar:
            parts.avatar.sink.open()
        logger.info("Published audio track for speech: %s", parts.track.sid)

    async def begin(self) -> None:
        """Warms the voice up, and lets it be known that requests are taken."""
        parts = self._parts
        await self._until_warm()
        if is_heard(parts.room):
            await parts.audience.ready(within_s=AUDIENCE_S)
        elif parts.room.remote_participants:
            await parts.track.subscribed(within_s=AGENT_SUBSCRIBE_TIMEOUT_S)
        _keep_what_is_loaded()
        for keeper in parts.hour_keepers:
            await keeper.load()
        if parts.scribe:
            await parts.scribe.open()
        parts.transport.serve(parts.desk)
        parts.state.become("listening")
        await self._make_known()
        name = parts.settings.agent_name
        logger.info("ready in room %s: agent=%s epoch=%s", parts.room.name, name, parts.epoch)

    async def run(self) -> None:
        """Works until cancelled; a defect it reports, and leaves."""
        parts = self._parts
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._warm_up())
                tasks.create_task(parts.speaker.run())
                tasks.create_task(parts.transport.run())
                tasks.create_task(parts.meters.run())
                tasks.create_task(parts.state.run())
                tasks.create_task(self._stay_known())
                if parts.captions:
                    tasks.create_task(parts.captions.run())
                for keeper in parts.hour_keepers:
                    tasks.create_task(keeper.run())
                if parts.scribe:
                    tasks.create_task(parts.scribe.run())
                    tasks.create_task(self._until_fenced(parts.scribe))
                if parts.avatar:
                    tasks.create_task(parts.ledger.keep())
                    tasks.create_task(parts.avatar.sink.listen())
                    tasks.create_task(parts.avatar.expression.run())
                    tasks.create_task(parts.avatar.in_use.run())
                    tasks.create_task(_keep_avatar(parts.avatar))
        except Exception as error:
            self._is_broken = True
            logger.error("the agent in room %s cannot go on", parts.room.name, exc_info=error)
            self._job.leave("defect")

    async def finish(self) -> None:
        """Refuses what is new, and speaks what was accepted as far as time allows.

        Of what is written down for the agent that follows it finishes the line that it speaks, if it can.
        """
        parts = self._parts
        parts.speaker.close()  # first of all: what comes next may take a second
        await parts.transport.look_for_takeover(parts.epoch)
        if parts.transport.is_room_closed:  # nobody follows
            parts.speaker.stop(reason="the room was closed")
            parts.speaker.resume()
        elif parts.scribe:
            await parts.scribe.confirm()
            parts.speaker.hand_on_waiting()
        is_hopeless = self._is_broken or not parts.room.isconnected()
        is_busy = bool(parts.speaker.speaking or parts.speaker.queue_length)
        try:
            async with asyncio.timeout(_HOPELESS_S if is_hopeless else DRAIN_TIMEOUT_S):
                await self._until_all_is_told()
                if is_busy:
                    await asyncio.sleep(LAST_WORD_S)
        except TimeoutError:
            parts.speaker.hand_on(reason="the agent stopped")
            with suppress(TimeoutError):
                async with asyncio.timeout(_HOPELESS_S if is_hopeless else FLUSH_TIMEOUT_S):
                    await self._until_all_is_told()

    async def _until_all_is_told(self) -> None:
        await self._parts.speaker.drain()
        await self._parts.transport.flush()
        if self._parts.captions:
            await self._parts.captions.flush()

    async def _make_known(self) -> None:
        parts = self._parts
        known = {AGENT_ATTRIBUTE: parts.settings.agent_name, EPOCH_ATTRIBUTE: parts.epoch}
        await parts.state.tell(known)

    def _on_reconnected(self, *_: object) -> None:
        self._parts.own.clear()  # before anything of what waited for the connection begins
        self._reconnected.set()

    async def _stay_known(self) -> None:
        """After a reconnect: the server may know nothing of this agent, or another one be in its place."""
        while True:
            await self._reconnected.wait()
            self._reconnected.clear()
            if not await self._job.is_leader():
                self._make_way()
                return
            try:
                await self._make_known()
                if not self._reconnected.is_set():
                    self._parts.own.set()
            except Exception as error:  # the SDK has one class per call
                logger.warning("the agent is not known in the room: %s; trying again", error)
                await asyncio.sleep(_KNOWN_AGAIN_S)
                self._reconnected.set()

    async def _until_fenced(self, scribe: Scribe) -> None:
        await scribe.fenced.wait()
        self._make_way()

    def _make_way(self) -> None:
        self._parts.speaker.hand_on(reason="another agent took its place")
        self._job.leave("already_running")

    async def _warm_up(self) -> None:
        """Takes what time it takes: a server that loads its model would begin anew if this were given up."""
        try:
            await self._parts.voice.warm_up()
        except LibaError as error:
            logger.error("the voice does not work: %s%s", error, f" - {error.hint}" if error.hint else "")
        self._is_warm.set()

    async def _until_warm(self) -> None:
        try:
            async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                await self._is_warm.wait()
        except TimeoutError:
            logger.warning(
                "the voice was not warm within %g s; the first line may be late", WARM_UP_TIMEOUT_S
            )


async def _keep_avatar(avatar: AvatarParts) -> None:
    try:
        await avatar.session.run()
    except Exception as error:  # a defect there must not take the speaker down with it
        logger.error("no avatar any more", exc_info=error)
        avatar.sink.absent("not available")
