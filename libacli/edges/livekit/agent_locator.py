"""Which agent is asked: the one that is in a room, or one that is sent there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from libacli.edges.livekit.api import LiveKitApi, ready_agent
from libacli.errors import LibaError, NoAgentError, TimedOutError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_GROWTH = 1.1

_TOLD_AFTER_S = 1.0
_FIRST_ASK_S, _ASK_GROWTH = 3.0, 1.5
"""When it is asked whether a worker has taken a dispatch, and how much later each time again: to one that
registers later it is not offered."""

_HINT_TIMEOUT_S = 2.0
_LOOKED_INTO = 5
"""Rooms, to find out whether an agent of that name is anywhere: no more is asked of LiveKit for a hint."""


def pauses() -> Iterator[float]:
    """Seconds between looks where nobody tells: a tenth of the time waited so far goes unnoticed."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(_GROWTH * pause_s, _LONGEST_PAUSE_S)


def no_agent(agent_name: str, room: str) -> NoAgentError:
    """There is none, and it is not brought for a question."""
    return NoAgentError(
        f"no agent named {agent_name!r} is in room {room!r}",
        hint="`liba say` brings one there, if `liba agent run` is running",
    )


@dataclass
class _Sent:
    """What was dispatched while an agent is waited for."""

    dispatch_ids: list[str] = field(default_factory=list)
    before: set[str] = field(default_factory=set)
    """Identities of agents that were there already, and were not asked: they may be dead."""

    was_taken: bool = False


class AgentLocator:
    """Finds the agent named `agent_name` in `room`; brings one there if there is none."""

    def __init__(self, api: LiveKitApi, *, room: str, agent_name: str) -> None:
        self._api = api
        self.room = room
        self.agent_name = agent_name
        self.identity = ""
        """Of the agent that was found last; empty: none is known."""

        self._there: set[str] = set()
        """Identities of the agents of that name that were there at the last look, ready or not."""

    async def find(self) -> bool:
        """Whether an agent is there now and takes requests."""
        present = await self._api.participants(self.room)
        self._there = {one.identity for one in present if one.is_named(self.agent_name)}
        self.identity = ready_agent(present, self.agent_name) or ""
        return bool(self.identity)

    async def reach(self, *, timeout_s: float, on_wait: Callable[[str], None] = lambda what: None) -> None:
        """Finds the agent, or has one dispatched and waits until it is ready, also for a worker that is only
        started meanwhile; `on_wait` is told, once, what is waited for.

        Raises NoAgentError when none came in time. The dispatch is withdrawn then, and when this is
        cancelled, because LiveKit would never serve it; TimedOutError when LiveKit did not even answer.
        """
        sent = _Sent()
        try:
            async with self._api.timeout(timeout_s):
                if not await self.find():
                    await self._bring(sent, on_wait)
        except asyncio.CancelledError:
            await self._withdraw(sent)
            raise
        except TimeoutError as error:
            within = f"within {round(timeout_s, 1):g} s"
            if not sent.dispatch_ids:
                raise TimedOutError(f"LiveKit did not answer {within}") from error
            await self._withdraw(sent)
            raise NoAgentError(
                f"no agent named {self.agent_name!r} came into room {self.room!r} {within}",
                hint=await self._hint(sent),
            ) from error

    async def _hint(self, sent: _Sent) -> str:
        """Why nobody may have come. Workers are not listed anywhere, their agents are."""
        if sent.was_taken:
            return "a worker took it, but its agent did not come: see the log of `liba agent run`"
        with suppress(LibaError, TimeoutError):
            async with asyncio.timeout(_HINT_TIMEOUT_S):
                if await self._is_elsewhere():
                    return "its workers are full: start one more, or let one have more: agent.max_rooms"
        return "start one: liba agent run"

    async def _is_elsewhere(self) -> bool:
        """Whether an agent of that name is in another room, of the first few in which somebody publishes."""
        rows = [row.name for row in await self._api.rooms() if row.publishers and row.name != self.room]
        for name in rows[:_LOOKED_INTO]:
            if any(one.is_named(self.agent_name) for one in await self._api.participants(name)):
                return True
        return False

    async def _bring(self, sent: _Sent, on_wait: Callable[[str], None]) -> None:
        """Dispatches an agent, and does so anew as long as no worker has taken that, until it is there."""
        clock = asyncio.get_running_loop().time
        sent.before = self._there
        sent.dispatch_ids.append(await self._api.dispatch(self.room, self.agent_name))
        began_at, is_told = clock(), False
        waited_s, ask_after_s = 0.0, _FIRST_ASK_S  # without what LiveKit took: it may hold a call up for long
        for pause_s in pauses():
            if await self.find():
                return
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            if not is_told and clock() >= began_at + _TOLD_AFTER_S:
                is_told = True
                on_wait(f"waiting for agent {self.agent_name!r} in room {self.room!r}...")
            if not sent.was_taken and waited_s >= ask_after_s:
                waited_s, ask_after_s = 0.0, _ASK_GROWTH * ask_after_s
                await self._dispatch_again(sent)

    async def _dispatch_again(self, sent: _Sent) -> None:
        """Unless a worker has taken what was dispatched; that stays, for one may just be taking it.

        A server lists the job only when it runs, which is seconds after its agent has come on a busy machine.
        """
        has_come = bool(self._there - sent.before)
        sent.was_taken = has_come or await self._api.was_taken(self.room, sent.dispatch_ids)
        if not sent.was_taken:
            sent.dispatch_ids.append(await self._api.dispatch(self.room, self.agent_name))

    async def _withdraw(self, sent: _Sent) -> None:
        """Takes dispatches back, if they can be: that they cannot is not what went wrong."""
        for dispatch_id in sent.dispatch_ids:
            with suppress(LibaError):
                await self._api.withdraw(self.room, dispatch_id)
