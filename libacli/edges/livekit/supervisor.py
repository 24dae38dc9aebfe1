"""Keeps one living agent in every room of a worker: puts dead ones out, and sends for others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from libacli.edges.livekit.api import Participant
from libacli.edges.livekit.leader import Pulse
from libacli.edges.livekit.supervised_room import Finding, Stage, Step, SupervisedRoom
from libacli.errors import LibaError, NoAgentError

logger = logging.getLogger("liba.supervisor")

LOOK_EVERY_S = 5.0
"""So that three missed calls and a dispatch fit into the 30 s in which a dead agent is replaced."""

_LOOK_TIMEOUT_S = 10.0
"""For one room: a list of who is there, and a call of 3 s at most to each agent; there is mostly one."""

_SIDE_BY_SIDE = 16
"""Rooms that are looked into at once: a worker of many rooms is not to flood LiveKit with calls."""


class Rooms(Protocol):
    """What is asked of LiveKit, as `LiveKitApi` has it."""

    async def participants(self, room: str) -> list[Participant]: ...
    async def remove(self, room: str, identity: str) -> None: ...
    async def dispatch(self, room: str, agent_name: str) -> str: ...
    async def withdraw(self, room: str, dispatch_id: str) -> None: ...
    async def rooms_sent_for(self, agent_name: str) -> list[str]: ...


class Agents(Protocol):
    """What is asked of the worker, as `Worker` has it."""

    async def pulse(self, room: str, identity: str) -> Pulse:
        """Asks an agent for a sign of life. Raises LibaError when it cannot be asked."""

    def has_job(self, room: str) -> bool:
        """Whether this worker has a job in that room."""

    async def clean_up(self) -> None:
        """Agents were replaced: ends what they may have left behind. Raises nothing."""


class Supervisor:
    """Looks every 5 s into each room that it was told of. `run` until cancelled: then it sends for nobody."""

    def __init__(self, api: Rooms, agents: Agents, agent_name: str) -> None:
        self._api = api
        self._agents = agents
        self._agent_name = agent_name
        self._rooms: dict[str, SupervisedRoom] = {}
        self._gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        self._trouble = ""
        self._has_replaced = False

    @property
    def rooms(self) -> list[str]:
        """Rooms that are looked after."""
        return list(self._rooms)

    def pin(self, rooms: Iterable[str]) -> None:
        """Has an agent sent to each room at the first look, and whenever somebody is there without one."""
        for name in rooms:
            self._rooms[name] = SupervisedRoom.pinned()

    def supervise(self, room: str, identity: str) -> None:
        """An agent of this worker goes into `room` under that identity."""
        self._rooms.setdefault(room, SupervisedRoom()).identity = identity

    def send_again(self) -> None:
        """The worker has registered anew: what was dispatched before that is never served."""
        for room in self._rooms.values():
            room.may_send_again()

    async def run(self) -> None:
        """Looks after the rooms, also after those that had an agent of that name before this worker ran."""
        await self._adopt()
        while True:
            next_look_at = self._now() + LOOK_EVERY_S
            await self._look_around()
            if self._has_replaced:
                self._has_replaced = False
                await self._agents.clean_up()
            await asyncio.sleep(max(0.0, next_look_at - self._now()))

    async def _adopt(self) -> None:
        with suppress(LibaError, TimeoutError):  # the rooms that it is told of it looks after all the same
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                for name in await self._api.rooms_sent_for(self._agent_name):
                    self._rooms.setdefault(name, SupervisedRoom())

    async def _look_around(self) -> None:
        before, self._trouble = self._trouble, ""
        async with asyncio.TaskGroup() as tasks:
            for name, room in list(self._rooms.items()):
                tasks.create_task(self._look_into(name, room))
        if self._trouble and not before:
            logger.warning("cannot look after the rooms: %s; trying again", self._trouble)
        elif before and not self._trouble:
            logger.info("looking after the rooms again")

    async def _look_into(self, name: str, room: SupervisedRoom) -> None:
        try:
            async with self._gate, asyncio.timeout(_LOOK_TIMEOUT_S):
                await self._follow_up(name, room, await self._find(name, room))
        except (LibaError, TimeoutError) as error:
            self._trouble = str(error) or "LiveKit did not answer in time"
            room.not_seen()
        except Exception as error:  # a defect met in one room must not leave the others alone
            logger.error("cannot look after room %s", name, exc_info=error)

    async def _find(self, name: str, room: SupervisedRoom) -> Finding:
        """What is in the room, after the dead have been put out."""
        present = await self._api.participants(name)
        agents = [found for found in present if found.is_named(self._agent_name)]
        living = [agent for agent in agents if not await self._is_put_out(name, room, agent)]
        if living:
            return Finding.AGENT
        if agents:
            return Finding.DEAD_AGENT
        return Finding.PEOPLE if any(not found.is_agent for found in present) else Finding.NOBODY

    async def _is_put_out(self, name: str, room: SupervisedRoom, agent: Participant) -> bool:
        """Whether an agent was found dead. One whose process was killed is listed for some 20 s after it."""
        is_killed = agent.identity == room.identity and not self._agents.has_job(name)
        if not is_killed:
            answer = await self._agents.pulse(name, agent.identity) if agent.is_active else "starting"
            if not room.is_dead(agent.identity, answer):
                return False
        logger.warning("%s in room %s is dead and is put out", agent.identity, name)
        await self._api.remove(name, agent.identity)
        return True

    async def _follow_up(self, name: str, room: SupervisedRoom, finding: Finding) -> None:
        step, has_job = room.found(finding, self._now()), self._agents.has_job(name)
        if step is Step.FORGET_UNLESS_KEPT:
            if not (room.is_pinned or has_job):
                del self._rooms[name]
        elif step is not Step.REST and room.may_send(step, self._now(), has_job=has_job):
            await self._send_for_agent(name, room)

    async def _send_for_agent(self, name: str, room: SupervisedRoom) -> None:
        now = self._now()
        if room.dispatch_id:
            with suppress(NoAgentError):
                await self._api.withdraw(name, room.dispatch_id)
            room.dispatch_id = ""
        room.was_sent_for(await self._api.dispatch(name, self._agent_name), now)
        self._has_replaced = self._has_replaced or room.stage is not Stage.NEW
        logger.info("room %s has no agent; one is sent for", name)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
