"""Many lines, one after the other: each is handed over when there is room, and followed while more come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.reasons import refusal_reason
from libacli.errors import LibaError, RefusedError, TimedOutError, UnreachableError

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
"""A short line takes as long to be spoken: a place that gets free is taken before the queue is empty."""

_FOLLOWED_S = 3600.0
"""How long a line may take to be over while others are handed over: an hour's queue."""


class Taker(Protocol):
    """Who takes what is to be said; see AgentClient."""

    async def say(self, request: SayRequest) -> Delivery: ...


class Agent(Taker, Protocol):
    """Who can be asked what became of it, too."""

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery: ...


async def hand_over(agent: Taker, request: SayRequest, *, timeout_s: float) -> Delivery:
    """Says it as soon as the agent takes it, asking less and less often.

    Raises RefusedError for a refusal that does not pass in a moment, TimedOutError.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await agent.say(request)
                except RefusedError as error:
                    if not refusal_reason(error.reason).is_brief:
                        raise
                    wait_s = max(pause_s, error.retry_in_s or 0.0)
                await asyncio.sleep(wait_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    except TimeoutError as error:
        raise TimedOutError(f"the queue was full for {timeout_s:g} s", hint="clear it: liba stop") from error


@dataclass
class SayStream:
    """Hands lines over and knows what became of each of them.

    An agent forgets an utterance ten minutes after its end, and more lines may come for hours: it is asked
    for each line in its turn, meanwhile.
    """

    agent: Agent
    level: str
    """`accepted`, `audible` or `done`: what is waited for."""

    timeout_s: float
    """For a line to be taken, and, once the last one is, for each to reach the level."""

    on_taken: Callable[[Delivery], None]
    on_paused: Callable[[], None] = lambda: None
    """Called while the queue is paused: no time passes then."""

    _outcomes: dict[str, Delivery | LibaError] = field(default_factory=dict)

    async def feed(self, requests: AsyncIterator[SayRequest]) -> list[Delivery]:
        """Hands all of them over, in order; what was taken."""
        taken: list[Delivery] = []
        to_follow: asyncio.Queue[Delivery] = asyncio.Queue()
        failure: LibaError | None = None
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(to_follow))
            try:
                async for request in requests:
                    taken.append(await hand_over(self.agent, request, timeout_s=self.timeout_s))
                    to_follow.put_nowait(taken[-1])
                    self.on_taken(taken[-1])
            except LibaError as error:  # a group would wrap it
                failure = error
            following.cancel()
        if failure:
            raise failure
        return taken

    async def outcome(self, line: Delivery) -> Delivery:
        """How far a line that was taken has come. Raises what `AgentClient.wait` raises."""
        known = self._outcomes.get(line.id)
        if isinstance(known, LibaError):
            raise known
        return known or await self._wait(line, self.timeout_s)

    async def _wait(self, line: Delivery, timeout_s: float) -> Delivery:
        return await self.agent.wait(line, self.level, timeout_s=timeout_s, on_paused=self.on_paused)

    async def _follow(self, lines: asyncio.Queue[Delivery]) -> None:
        """Notes what becomes of each line, one after the other, as they are spoken."""
        while True:
            line = await lines.get()
            while line.id not in self._outcomes:
                try:
                    self._outcomes[line.id] = await self._wait(line, _FOLLOWED_S)
                except UnreachableError:  # it has its own patience; handing over fails if it stays so
                    continue
                except LibaError as error:
                    self._outcomes[line.id] = error
