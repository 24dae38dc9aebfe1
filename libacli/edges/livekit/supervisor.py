"""Keeps one living agent in every room of a worker: puts dead ones out, and sends for others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from libacli.edges.livekit.api import Participant, RoomRow
from libacli.edges.livekit.leader import Pulse
from libacli.edges.livekit.strangers import Strangers
from libacli.edges.livekit.supervised_room import Finding, Stage, Step, SupervisedRoom
from libacli.errors import LibaError, NoAgentError
from libacli.log_context import about

logger = logging.getLogger("liba.supervisor")

LOOK_EVERY_S = 5.0
"""So that three missed calls and a dispatch fit into the 30 s in which a dead agent is replaced."""

_LOOK_TIMEOUT_S = 10.0
"""For one room: a list of who is there, and a call of 3 s at most to each agent; there is mostly one."""

_SIDE_BY_SIDE = 16
"""Rooms that are looked into at once: a worker of many rooms is not to flood LiveKit with calls."""

_ASKED_A_ROUND = 3
_ASK_EVERY_S = 10.0
"""Agents that seem well are asked, too: one may be deaf. With the list of rooms that makes four calls in
5 s, 48 a minute, however many rooms there are; LiveKit Cloud gives a project 1000 for everything."""

_ASKED_IN_DOUBT = 16
"""The same while one does not answer: its worker may have been killed, and all its agents with it."""

_LIST_ALL_EVERY_S = 10.0
"""How long a room that another worker has got may stay unknown here: if that one is killed, somebody else has
to see it."""

_ADOPTED_AT_ONCE = 50
_ADOPTED_A_ROUND = 3
"""Rooms of which is asked whether they had an agent of this name: when a worker starts, and later."""


class Rooms(Protocol):
    """What is asked of LiveKit, as `LiveKitApi` has it."""

    async def participants(self, room: str) -> list[Participant]: ...
    async def remove(self, room: str, identity: str) -> None: ...
    async def dispatch(self, room: str, agent_name: str) -> str: ...
    async def withdraw(self, room: str, dispatch_id: str) -> None: ...
    async def rooms(self, names: Collection[str] = ()) -> list[RoomRow]: ...
    async def was_sent_for(self, room: str, agent_name: str) -> bool: ...


class Agents(Protocol):
    """What is asked of the worker, as `Worker` has it."""

    async def pulse(self, room: str, identity: str) -> Pulse:
        """Asks an agent for a sign of life. Raises LibaError when it cannot be asked."""

    def has_job(self, room: str) -> bool:
        """Whether this worker has a job in that room."""

    def is_well(self, room: str) -> bool:
        """Whether this worker's agent in that room shows that it lives and is connected, without LiveKit."""

    async def clean_up(self) -> None:
        """Agents were replaced: ends what they may have left behind. Raises nothing."""


class Supervisor:
    """Looks every 5 s after the rooms that it was told of. `run` until cancelled: then it sends for nobody.

    LiveKit is asked little, and no more for many rooms than for few: an agent of this worker shows by itself
    that it is well; all other rooms are listed by one call, and those looked into that are odd.
    `waiting` tells of rooms where lines wait that were accepted by an agent which may be gone.
    """

    def __init__(
        self,
        api: Rooms,
        agents: Agents,
        agent_name: str,
        *,
        waiting: Callable[[], Awaitable[Collection[str]]] | None = None,
    ) -> None:
        self._api = api
        self._agents = agents
        self._agent_name = agent_name
        self._waiting = waiting
        self._rooms: dict[str, SupervisedRoom] = {}
        self._gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        self._trouble = ""
        self._was_told_of = ""
        self._was_reached = False
        self._has_replaced = False
        self._strangers = Strangers()
        self._all_listed_at: float | None = None
        self._adopts = _ADOPTED_AT_ONCE

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
        self._rooms.setdefault(room, SupervisedRoom()).expect(identity)

    def send_again(self) -> None:
        """The worker has registered anew: what was dispatched before that is never served."""
        for room in self._rooms.values():
            room.may_send_again()

    async def run(self) -> None:
        """Looks after the rooms, also after those that got an agent of that name from another worker."""
        while True:
            next_look_at = self._now() + LOOK_EVERY_S
            await self._look_around()
            if self._has_replaced:
                self._has_replaced = False
                await self._agents.clean_up()
            await asyncio.sleep(max(0.0, next_look_at - self._now()))

    async def _look_around(self) -> None:
        self._trouble, self._was_reached = "", False
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                await self._await_agents()
                rows = await self._list()
        except (LibaError, TimeoutError) as error:
            self._met(error)
            for name, room in self._rooms.items():
                if not self._is_well(name, room):
                    room.not_seen()
        except Exception as error:  # as in one room: the next look may find better
            logger.error("cannot look after the rooms", exc_info=error)
        else:
            await self._adopt()
            await self._look_after(rows)
        self._tell()

    async def _await_agents(self) -> None:
        """Looks after the rooms, too, where lines wait."""
        names = set(await self._waiting() if self._waiting else ())
        for name in names - self._rooms.keys():
            self._rooms[name] = SupervisedRoom.awaited()
        for name, room in self._rooms.items():
            room.is_awaited = name in names

    async def _list(self) -> dict[str, RoomRow]:
        """The rooms that have to be listed, by name, as far as they are there."""
        listed_at, now = self._all_listed_at, self._now()
        is_all = listed_at is None or now >= listed_at + _LIST_ALL_EVERY_S
        wanted = [name for name, room in self._rooms.items() if not self._is_well(name, room)]
        if not (is_all or wanted):
            return {}
        rows = await self._api.rooms(() if is_all else wanted)
        self._was_reached = True
        if is_all:
            self._strangers.saw(rows, self._rooms)
            self._all_listed_at = now
        return {row.name: row for row in rows}

    async def _adopt(self) -> None:
        """Takes over the rooms that had an agent of that name: at the start, and more of them each round."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._strangers.next(self._adopts):
                tasks.create_task(self._adopt_one(name))
        self._adopts = _ADOPTED_A_ROUND

    async def _adopt_one(self, name: str) -> None:
        try:
            async with self._gate, asyncio.timeout(_LOOK_TIMEOUT_S):
                was_sent_for = await self._api.was_sent_for(name, self._agent_name)
        except (LibaError, TimeoutError):
            self._strangers.forget(name)
            return
        if was_sent_for:
            self._rooms.setdefault(name, SupervisedRoom())

    async def _look_after(self, rows: Mapping[str, RoomRow]) -> None:
        now = self._now()
        seem_well: list[tuple[str, SupervisedRoom]] = []
        async with asyncio.TaskGroup() as tasks:
            for name, room in list(self._rooms.items()):
                if self._is_well(name, room):
                    room.shows_life(now)
                    if now >= room.asked_at + _ASK_EVERY_S:
                        seem_well.append((name, room))
                elif room.is_odd(rows.get(name), now, has_job=self._agents.has_job(name)):
                    with about(room=name):
                        tasks.create_task(self._look_into(name, room, rows.get(name)))
                elif room.agent:
                    seem_well.append((name, room))
            seem_well.sort(key=lambda one: one[1].asked_at)
            is_in_doubt = any(room.has_missed for room in self._rooms.values())
            for name, room in seem_well[: _ASKED_IN_DOUBT if is_in_doubt else _ASKED_A_ROUND]:
                with about(room=name):
                    tasks.create_task(self._ask(name, room))

    def _is_well(self, name: str, room: SupervisedRoom) -> bool:
        return self._agents.is_well(name) and not room.has_missed

    def _met(self, error: Exception) -> None:
        self._trouble = str(error) or "LiveKit did not answer in time"

    def _tell(self) -> None:
        """Says once that LiveKit is away, and once that it is back."""
        if self._trouble and not self._was_told_of:
            logger.warning("cannot look after the rooms: %s; trying again", self._trouble)
            self._was_told_of = self._trouble
        elif self._was_told_of and self._was_reached and not self._trouble:
            logger.info("looking after the rooms again")
            self._was_told_of = ""

    async def _ask(self, name: str, room: SupervisedRoom) -> None:
        """Asks an agent that seems well; if it does not answer, the next looks are into its room."""
        agent, asked_at = room.agent, self._now()
        try:
            async with self._gate:
                answer = await self._agents.pulse(name, agent)
        except LibaError as error:
            self._met(error)
            return
        except Exception as error:
            logger.error("cannot ask %s in room %s", agent, name, exc_info=error)
            return
        self._was_reached = True
        room.asked_at = asked_at
        room.is_dead(agent, answer)

    async def _look_into(self, name: str, room: SupervisedRoom, row: RoomRow | None) -> None:
        try:
            async with self._gate, asyncio.timeout(_LOOK_TIMEOUT_S):
                await self._follow_up(name, room, await self._find(name, room, row))
                self._was_reached = True
        except (LibaError, TimeoutError) as error:
            self._met(error)
            room.not_seen()
        except Exception as error:  # a defect met in one room must not leave the others alone
            logger.error("cannot look after room %s", name, exc_info=error)

    async def _find(self, name: str, room: SupervisedRoom, row: RoomRow | None) -> Finding:
        """What is in the room, after the dead have been put out."""
        present = await self._api.participants(name)
        agents = [found for found in present if found.is_named(self._agent_name)]
        living = [agent for agent in agents if not await self._is_put_out(name, room, agent)]
        room.asked_at = self._now()
        room.was_seen(row, [agent.identity for agent in living], has_job=self._agents.has_job(name))
        if living:
            return Finding.AGENT
        has_people = any(not found.is_agent for found in present)
        if agents and (has_people or room.is_wanted):
            return Finding.DEAD_AGENT
        return Finding.PEOPLE if has_people else Finding.NOBODY

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
                self._strangers.forget(name)
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
