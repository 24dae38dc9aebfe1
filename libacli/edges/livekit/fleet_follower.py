"""What the agents of all rooms of a LiveKit server tell, for somebody on any machine.

Agents are asked over HTTP, within a budget of calls; no room is joined. To follow a room as `RoomFollower`
does takes a WebRTC connection for each, which LiveKit Cloud counts and charges, and would tell no sooner that
an agent was killed: a server lists it for some 20 s after that, so that it has to be asked all the same.

The price: what begins and ends between two looks is seen afterwards, and with many rooms looks are further
apart. One room costs 12 calls a minute. With `CALLS_PER_MINUTE` 16 rooms are asked every 5 s, 33 every 10; an
agent that is killed does not answer, which takes 3 s to be known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from libacli.core.fleet import AgentMissing, AgentTold, FleetUpdate, RoomsListed
from libacli.core.protocol import AGENT_ATTRIBUTE
from libacli.core.room_update import WELL, ConnectionState
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi, Participant, RoomRow
from libacli.edges.livekit.call_budget import CallBudget
from libacli.errors import LibaError, NoAgentError, TimedOutError

logger = logging.getLogger("liba.watch")

CALLS_PER_MINUTE = 300
"""Unless somebody says otherwise. A project of LiveKit Cloud has 1000, for all that it runs."""

LIST_EVERY_S = 5.0
ASK_EVERY_S = 5.0
_IDLE_EVERY_S = 30.0
"""Between two looks into a room that has no agent, and in which nobody comes, goes or publishes."""

_SHARE = 3 / 4
"""Of the budget, for rooms that have an agent; the rest finds out where others have come."""

_MISSED_S = 60.0
"""After its agent has gone, a room is looked into as if it had one: it is replaced within 30 s."""

_SILENT_S = 15.0
"""Without an answer for so long the server is away, or takes no more calls of this project for a while."""

_SIDE_BY_SIDE = 16
_TICK_S = 0.25
_ENDED = 20
"""Utterances that have ended, of which an agent is asked each time: more than are spoken in 5 s."""


@dataclass
class _Room:
    """What is known of a room, for when it is to be looked into."""

    row: RoomRow
    agent: str = ""
    """Identity of the one that answered last; empty: there is none."""

    missed_at: float = -_MISSED_S
    due_at: float = 0.0
    is_asked: bool = False


class FleetFollower:
    """Looks after the rooms of a server; `tell` gets what comes of it."""

    def __init__(
        self,
        api: LiveKitApi,
        tell: Callable[[FleetUpdate], None],
        *,
        calls_per_minute: int = CALLS_PER_MINUTE,
    ) -> None:
        self._api = api
        self._tell = tell
        self._budget = CallBudget(calls_per_minute)
        self._rooms: dict[str, _Room] = {}
        self._is_well = True
        self._answered_at = 0.0

    @property
    def every_s(self) -> float:
        """How often each agent is asked, as the budget lets it."""
        agents = sum(bool(room.agent) for room in self._rooms.values())
        return max(ASK_EVERY_S, agents * self._budget.interval_s / _SHARE)

    @property
    def _idle_every_s(self) -> float:
        idle = sum(not room.agent for room in self._rooms.values())
        return max(_IDLE_EVERY_S, idle * self._budget.interval_s / (1 - _SHARE))

    async def look_once(self) -> None:
        """Looks into each room, once. Raises what `LiveKitApi` raises."""
        await self._list()
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def look(name: str, room: _Room) -> None:
            async with gate:
                await self._look(name, room)

        async with asyncio.TaskGroup() as tasks:
            for name, room in self._rooms.items():
                tasks.create_task(look(name, room))

    async def run(self) -> None:
        """Follows them until cancelled. Raises what `LiveKitApi` raises if it cannot even begin."""
        await self._list()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._go_on_listing())
            while True:
                for name, room in self._due():
                    room.is_asked = True
                    tasks.create_task(self._look(name, room))
                if self._is_well and _now() > self._answered_at + _SILENT_S:
                    self._met(TimedOutError(f"LiveKit has not answered for {_SILENT_S:g} s"))
                await asyncio.sleep(_TICK_S)

    def _due(self) -> list[tuple[str, _Room]]:
        """The rooms whose turn it is, first those with an agent; no more than can be asked side by side."""
        now = _now()
        free = _SIDE_BY_SIDE - sum(room.is_asked for room in self._rooms.values())
        due = [(name, room) for name, room in self._rooms.items() if not room.is_asked and room.due_at <= now]
        return sorted(due, key=lambda one: (not one[1].agent, one[1].due_at))[:free]

    async def _go_on_listing(self) -> None:
        while True:
            await asyncio.sleep(LIST_EVERY_S)
            try:
                await self._list()
            except LibaError as error:
                self._met(error)

    async def _list(self) -> None:
        await self._budget.spend()
        rows = {row.name: row for row in await self._api.rooms()}
        self._met(None)
        for name, row in rows.items():
            room = self._rooms.setdefault(name, _Room(row))
            if room.row != row and not room.agent:
                room.due_at = min(room.due_at, _now())
            room.row = row
        for name in self._rooms.keys() - rows.keys():
            del self._rooms[name]
        self._tell(RoomsListed(tuple(rows)))

    async def _look(self, name: str, room: _Room) -> None:
        began_at = _now()
        try:
            await self._ask(name, room)
            self._met(None)
        except NoAgentError:
            room.missed_at = _now() if room.agent else room.missed_at
            room.agent = ""
            if name in self._rooms:
                self._tell(AgentMissing(name))
        except LibaError as error:
            self._met(error)
        is_busy = bool(room.agent) or _now() < room.missed_at + _MISSED_S
        room.due_at = began_at + (self.every_s if is_busy else self._idle_every_s)
        room.is_asked = False

    async def _ask(self, name: str, room: _Room) -> None:
        """Raises NoAgentError when there is none, or none that answers."""
        if not room.agent:
            await self._budget.spend()
            room.agent = _agent(await self._api.participants(name))
        if not room.agent:
            raise NoAgentError(f"room {name!r} has no agent")
        locator = AgentLocator(self._api, room=name, agent_name="")
        locator.identity = room.agent
        await self._budget.spend()
        status = await AgentClient(self._api, locator).status(ended=_ENDED)
        if name in self._rooms:  # not closed in the meantime
            self._tell(AgentTold(name, status))

    def _met(self, error: LibaError | None) -> None:
        """Tells once that the server does not answer as it should, and once that it does again."""
        if error:
            logger.debug("watching goes on: %s", error)
        else:
            self._answered_at = _now()
        if self._is_well != (error is None):
            self._is_well = error is None
            self._tell(ConnectionState(str(error)) if error else WELL)


def _agent(present: list[Participant]) -> str:
    """Identity of the agent of ours that came last, whatever its name; empty: there is none."""
    ours = [one for one in present if one.is_agent and one.is_active and AGENT_ATTRIBUTE in one.attributes]
    return max(ours, key=lambda one: one.joined_at_ms).identity if ours else ""


def _now() -> float:
    return asyncio.get_running_loop().time()
