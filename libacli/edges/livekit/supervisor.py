"""Keeps one living agent in every room of a worker: puts dead ones out, and sends for others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from libacli.edges.livekit.api import Participant
from libacli.edges.livekit.leader import Pulse
from libacli.errors import LibaError, NoAgentError

logger = logging.getLogger("liba.supervisor")

LOOK_EVERY_S = 5.0
_LOOK_TIMEOUT_S = 10.0
_SIDE_BY_SIDE = 16
_LOOKS_WITHOUT = 2
_MISSES: dict[Pulse, float] = {"ready": 0.0, "starting": 0.5, "silent": 1.0}
_MOST_MISSES = 3.0
_RETURN_S = 15.0
"""How long an agent whose job goes on may take to come back into its room: its queue lives, too."""

_FIRST_PAUSE_S = 10.0
_LONGEST_PAUSE_S = 60.0


class Rooms(Protocol):
    """What is asked of LiveKit, as `LiveKitApi` has it."""

    async def participants(self, room: str) -> list[Participant]: ...
    async def remove(self, room: str, identity: str) -> None: ...
    async def dispatch(self, room: str, agent_name: str) -> str: ...
    async def withdraw(self, room: str, dispatch_id: str) -> None: ...
    async def rooms_sent_for(self, agent_name: str) -> list[str]: ...


@dataclass
class _Watch:
    """What is known of one room."""

    is_pinned: bool = False
    """It is this worker's for good, also when everybody has left."""

    is_new: bool = False
    """It is pinned and no agent has been there yet: one is sent for although nobody is there."""

    identity: str = ""
    """Who went there from this worker last."""

    looks_without: int = 0
    """How often in a row no agent was there although one was wanted."""

    gone_since: float = 0.0
    misses: dict[str, float] = field(default_factory=dict)
    """By identity: how often in a row an agent did not answer."""

    dispatch_id: str = ""
    """An agent was sent for and has not been seen yet."""

    pause_s: float = _FIRST_PAUSE_S
    next_dispatch_at: float = 0.0

    def count_anew(self) -> None:
        self.looks_without, self.misses = 0, {}


class Supervisor:
    """Looks every 5 s into each room that it was told of. `run` until cancelled: then it sends for nobody.

    `pulse(room, identity)` asks an agent for a sign of life; `is_running(room)` tells whether this worker has
    a job there; `clean_up` is called when agents were replaced, for what they may have left behind.
    """

    def __init__(
        self,
        api: Rooms,
        agent_name: str,
        *,
        pulse: Callable[[str, str], Awaitable[Pulse]],
        is_running: Callable[[str], bool],
        clean_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._api = api
        self._agent_name = agent_name
        self._pulse = pulse
        self._is_running = is_running
        self._clean_up = clean_up
        self._rooms: dict[str, _Watch] = {}
        self._gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        self._trouble = ""
        self._has_replaced = False

    @property
    def rooms(self) -> list[str]:
        """Rooms that are looked after."""
        return list(self._rooms)

    def pin(self, rooms: Iterable[str]) -> None:
        """Has an agent sent to each room at the first look, and whenever somebody is there without one."""
        for room in rooms:
            self._rooms[room] = _Watch(is_pinned=True, is_new=True)

    def watch(self, room: str, identity: str) -> None:
        """An agent of this worker goes into `room` under that identity."""
        self._rooms.setdefault(room, _Watch()).identity = identity

    def ask_again(self) -> None:
        """The worker has registered anew: what was dispatched before that is never served."""
        for watch in self._rooms.values():
            watch.pause_s, watch.next_dispatch_at = _FIRST_PAUSE_S, 0.0

    async def run(self) -> None:
        """Looks after the rooms, also after those that had an agent of that name before this worker ran."""
        await self._adopt()
        while True:
            next_look_at = self._now() + LOOK_EVERY_S
            await self._look_around()
            if self._has_replaced:
                self._has_replaced = False
                await self._clean_up()
            await asyncio.sleep(max(0.0, next_look_at - self._now()))

    async def _adopt(self) -> None:
        with suppress(LibaError, TimeoutError):  # the rooms that it is told of it looks after all the same
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                for room in await self._api.rooms_sent_for(self._agent_name):
                    self._rooms.setdefault(room, _Watch())

    async def _look_around(self) -> None:
        before, self._trouble = self._trouble, ""
        async with asyncio.TaskGroup() as tasks:
            for room, watch in list(self._rooms.items()):
                tasks.create_task(self._look(room, watch))
        if self._trouble and not before:
            logger.warning("cannot look after the rooms: %s; trying again", self._trouble)
        elif before and not self._trouble:
            logger.info("looking after the rooms again")

    async def _look(self, room: str, watch: _Watch) -> None:
        try:
            async with self._gate, asyncio.timeout(_LOOK_TIMEOUT_S):
                await self._attend(room, watch)
        except (LibaError, TimeoutError) as error:
            self._trouble = str(error) or "LiveKit did not answer in time"
            watch.count_anew()  # who cannot be seen need not be gone
        except Exception as error:  # a defect met in one room must not leave the others alone
            logger.error("cannot look after room %s", room, exc_info=error)

    async def _attend(self, room: str, watch: _Watch) -> None:
        there = await self._api.participants(room)
        agents = [found for found in there if found.is_named(self._agent_name)]
        living = [agent for agent in agents if not await self._is_put_out(room, watch, agent)]
        if living:
            watch.is_new, watch.looks_without, watch.dispatch_id = False, 0, ""
        elif agents or watch.is_new or any(not found.is_agent for found in there):
            await self._replace(room, watch, is_certain=bool(agents) or watch.is_new)
        elif watch.is_pinned or self._is_running(room):
            watch.count_anew()
        else:
            del self._rooms[room]

    async def _is_put_out(self, room: str, watch: _Watch, agent: Participant) -> bool:
        """Whether an agent was found dead. One whose process was killed is listed for some 20 s after it."""
        is_killed = agent.identity == watch.identity and not self._is_running(room)
        if not is_killed:
            answer = await self._pulse(room, agent.identity) if agent.is_active else "starting"
            if answer == "ready":
                watch.pause_s, watch.next_dispatch_at = _FIRST_PAUSE_S, 0.0
                watch.misses.pop(agent.identity, None)
                return False
            misses = watch.misses.pop(agent.identity, 0.0) + _MISSES[answer]
            if misses < _MOST_MISSES:
                watch.misses[agent.identity] = misses
                return False
        logger.warning("%s in room %s is dead and is put out", agent.identity, room)
        await self._api.remove(room, agent.identity)
        return True

    async def _replace(self, room: str, watch: _Watch, *, is_certain: bool) -> None:
        """Sends for an agent, unless one may still come: back into the room, or for the last dispatch."""
        now = self._now()
        watch.looks_without += 1
        if watch.looks_without == 1:
            watch.gone_since = now
        patience_s = _RETURN_S if self._is_running(room) else 0.0
        if not is_certain and (watch.looks_without < _LOOKS_WITHOUT or now < watch.gone_since + patience_s):
            return
        if now < watch.next_dispatch_at + (patience_s if watch.dispatch_id else 0.0):
            return
        if watch.dispatch_id:
            with suppress(NoAgentError):
                await self._api.withdraw(room, watch.dispatch_id)
            watch.dispatch_id = ""
        watch.dispatch_id = await self._api.dispatch(room, self._agent_name)
        watch.next_dispatch_at, watch.pause_s = now + watch.pause_s, min(2 * watch.pause_s, _LONGEST_PAUSE_S)
        self._has_replaced = self._has_replaced or not watch.is_new
        logger.info("room %s has no agent; one is sent for", room)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
