"""A job of the worker: one room, in a process or thread of its own. The SDK enters and leaves it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from livekit.agents import AutoSubscribe, JobContext, JobExecutorType, JobProcess

from libacli.config import Settings
from libacli.core.acquaintance import Acquaintances
from libacli.core.avatar_time import LOCAL
from libacli.edges.avatars.choose import avatar_vendor
from libacli.edges.avatars.policy import is_local_avatar
from libacli.edges.journal.choose import check_journal
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.encryption import encrypt
from libacli.edges.livekit.held_open import HeldOpen
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.leader import is_leader
from libacli.edges.livekit.room_proxy import settle_room_proxy
from libacli.edges.livekit.sdk_log import bound_sdk_log
from libacli.edges.livekit.signs_of_life import show_life
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.rooms_to_worker import RoomMeter
from libacli.edges.metrics.store import MetricsStore, metrics_path
from libacli.edges.voices.choose import make_voice
from libacli.log_context import about, note_what_records_are_about
from libacli.room_agent import Job, agent_in_room
from libacli.room_parts import Parts, assemble

_HURRY = signal.SIGUSR2
"""Tells a room process to end its avatar and itself; an idle one just ends."""

_HURRY_TIMEOUT_S = 5.0
"""For that: 4.5 s for ending an avatar and putting it out, and a little for what is closed after it."""


@dataclass
class RoomJobs:
    """What the SDK calls for each room: `prewarm`, then `enter`, then `leave`.

    Where rooms are processes, each gets a copy by pickle; where they are threads, all share this one.
    """

    settings: Settings
    metrics_socket: Path | None = None
    """Where the rooms tell the worker what they measured; None: nobody wants to know."""

    life_socket: Path | None = None
    """Where the rooms show the worker that they live; None: it asks them itself."""

    _known: Acquaintances = field(default_factory=Acquaintances, compare=False)
    """What the rooms of this process have learned of the voice."""

    _agents: dict[str, HeldOpen] = field(default_factory=dict)
    """By job: the agents of this process. Those of other processes are in their copies."""

    def prewarm(self, process: JobProcess) -> None:
        """Before there is a room: what takes long to load, and what others can have the SDK log."""
        bound_sdk_log()
        note_what_records_are_about()
        check_journal(self.settings)  # loads what it is written with
        settle_room_proxy(self.settings.livekit().ws_url)
        process.userdata["voice"] = make_voice(self.settings)

    async def enter(self, context: JobContext) -> None:
        """Goes into the room and speaks there from now on, unless another agent does."""
        with about(room=context.job.room.name):
            await self._enter(context)

    async def leave(self, context: JobContext) -> None:
        """Finishes what was accepted and ends the avatar, before the SDK leaves the room."""
        if agent := self._agents.get(context.job.id):
            try:
                with about(room=context.job.room.name):
                    await agent.leave()
            finally:
                if agent.is_over:
                    del self._agents[context.job.id]

    async def _enter(self, context: JobContext) -> None:
        encrypt(context.room, self.settings.livekit_e2ee_key)
        await to_the_end(context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE))
        job = _Job(self.settings, context)
        if not await job.is_leader():
            job.leave("already_running")
            return
        voice, room = context.proc.userdata["voice"], context.room.name
        parts = assemble(self.settings, context.room, voice, meters=self._meters(room), known=self._known)
        agent = self._agents[context.job.id] = HeldOpen(self._agent(parts, job))
        if context.proc.executor_type == JobExecutorType.PROCESS:
            _obey_signals(context, agent)
        await agent.enter()

    def end_at_once(self) -> None:
        """Has all rooms of this process and of its room processes end their avatars, whatever they do.

        Does not wait for it.
        """
        for room in multiprocessing.active_children():
            if room.pid:
                os.kill(room.pid, _HURRY)
        for agent in list(self._agents.values()):
            agent.end_at_once()

    @asynccontextmanager
    async def _agent(self, parts: Parts, job: Job) -> AsyncIterator[None]:
        """The agent, which shows that it lives."""
        signs = [show_life(parts.room, self.life_socket)] if self.life_socket else []
        async with in_background(*signs), agent_in_room(parts, job):
            yield

    def _meters(self, room: str) -> list[Meter]:
        settings = self.settings
        meters: list[Meter] = [RoomMeter(self.metrics_socket)] if self.metrics_socket else []
        if settings.metrics_store:
            store = MetricsStore(
                metrics_path(),
                keep_days=settings.metrics_keep_days,
                keep_mb=settings.metrics_keep_mb,
                room=room,
                vendor=LOCAL if is_local_avatar(settings) else avatar_vendor(settings).name,
            )
            meters.append(store)
        return meters


@dataclass(frozen=True)
class _Job:
    """The agent's view of its job. Implements `Job`."""

    settings: Settings
    context: JobContext

    async def is_leader(self) -> bool:
        credentials, room = self.settings.livekit(), self.context.room
        async with LiveKitApi(credentials) as api:
            return await is_leader(
                api,
                credentials,
                room=room.name,
                agent_name=self.settings.agent_name,
                identity=room.local_participant.identity,
            )

    def leave(self, reason: str) -> None:
        self.context.shutdown(reason)


def _obey_signals(context: JobContext, agent: HeldOpen) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        os._exit(128 + _HURRY)

    def hurry() -> None:
        loop.call_later(_HURRY_TIMEOUT_S, end)
        agent.end_at_once(then=end)

    # Service managers signal all processes of a worker, and the SDK its own when it has broken down.
    loop.add_signal_handler(signal.SIGTERM, context.shutdown, "terminated")
    loop.add_signal_handler(_HURRY, hurry)
