"""Many lines, one after the other: each is handed over when there is room, and followed while more come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.reasons import refusal_reason
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    OverQuotaError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
"""A short line takes as long to be spoken: a place that gets free is taken before the queue is empty."""

_GONE_S = 60.0
"""How long an agent, or LiveKit, may be away: that of a worker that was killed comes back within 30 s."""

_FOLLOWED_S = 3600.0
"""How long a line may take to be over while others are handed over: an hour's queue."""

_IDS_TOLD = 5


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


async def hand_over(
    agent: Taker,
    request: SayRequest,
    *,
    timeout_s: float,
    on_wait: Callable[[str], None] = lambda why: None,
) -> Delivery:
    """Says it as soon as the agent takes it: it asks when it was told to, else less and less often.

    `on_wait` is told of an obstacle other than a full queue. Raises RefusedError for a refusal that does not
    pass in time, TimedOutError, and NoAgentError or UnreachableError when nobody was there for a minute.
    """
    clock = asyncio.get_running_loop().time
    ends_at, gone_since, pause_s = clock() + timeout_s, None, _FIRST_PAUSE_S
    obstacle: LibaError | None = None
    try:
        async with asyncio.timeout_at(ends_at):
            while True:
                before, again_in_s = _kind(obstacle), None
                try:
                    return await agent.say(request)
                except RefusedError as error:
                    if not _passes(error):
                        raise
                    obstacle, gone_since, again_in_s = error, None, error.retry_in_s
                except (NoAgentError, UnreachableError) as error:
                    gone_since = clock() if gone_since is None else gone_since
                    if clock() >= gone_since + _GONE_S:
                        raise
                    obstacle = error
                    again_in_s = error.retry_in_s if isinstance(error, OverQuotaError) else None
                if again_in_s and clock() + again_in_s > ends_at:
                    raise obstacle
                if _kind(obstacle) not in (before, "queue_full"):
                    on_wait(f"{request.id} waits: {obstacle}")
                await asyncio.sleep(max(pause_s, again_in_s or 0.0))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    except TimeoutError as error:
        if obstacle and _kind(obstacle) != "queue_full":
            raise obstacle from error
        story = "the queue was full" if obstacle else "the agent did not answer"
        raise TimedOutError(
            f"{story} for {timeout_s:g} s", hint="clear it: liba stop" if obstacle else "try again"
        ) from error


@dataclass
class SayStream:
    """Hands lines over, and sees to it that what becomes of each of them is known.

    An agent forgets an utterance ten minutes after its end, and more lines may come for hours: it is asked
    for each line in its turn, meanwhile. A line that is not spoken as it was asked for ends nothing.
    """

    agent: Agent
    request: Callable[[str, int], SayRequest]
    """Makes one of a text and its number, from 0. Raises RefusedError for a text that cannot be said."""

    level: str
    """`accepted`, `audible` or `done`: what is waited for."""

    timeout_s: float
    """For a line to be taken, and, once the last one is, for each to reach the level."""

    on_taken: Callable[[Delivery], None]
    on_reached: Callable[[Delivery], None] = lambda line: None
    """Told of each line that has reached the level. Raises LibaError where that is not as it was asked."""

    on_paused: Callable[[], None] = lambda: None
    """Called while the queue is paused: no time passes then."""

    on_wait: Callable[[str], None] = lambda why: None
    _open: deque[Delivery] = field(default_factory=deque)
    """Lines that were taken, and whose end is not known."""

    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0
    _missed: list[str] = field(default_factory=list)
    """Ids of the lines that were not spoken as they were asked for; `_first_error` is of the first one."""

    _first_error: LibaError | None = None

    async def run(self, texts: AsyncIterator[str]) -> None:
        """Says all of them, in order, and waits for them, if that is wanted.

        Raises what ended it, or what was the matter with the first line that was not spoken as it was asked
        for; the words tell of all of them.
        """
        failure: LibaError | None = None
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow())
            try:
                async for text in texts:
                    await self._hand_over(text)
            except LibaError as error:  # a group would wrap it
                failure = error
            following.cancel()
        if failure:
            raise _reworded(failure, f"{failure}; {self._what_was_said()}")
        if not self._count:
            raise RefusedError("nothing_to_say", "there was nothing to say on standard input")
        if self.level != "accepted":
            await self._settle_all()
        if self._first_error:
            raise _reworded(self._first_error, self._what_was_not())

    async def _hand_over(self, text: str) -> None:
        utterance_id = ""
        try:
            request = self.request(text, self._count)
            utterance_id = request.id
            line = await hand_over(self.agent, request, timeout_s=self.timeout_s, on_wait=self.on_wait)
        except RefusedError as error:
            if not refusal_reason(error.reason).is_of_text:
                raise
            self._miss(utterance_id or f"line {self._count + 1}", error)
        else:
            self._open.append(line)
            self._news.set()
            self.on_taken(line)
        self._count += 1

    async def _follow(self) -> None:
        """Notes what becomes of each line, one after the other, as they are spoken."""
        while True:
            while not self._open:
                self._news.clear()
                await self._news.wait()
            try:
                await self._settle(_FOLLOWED_S)
            except UnreachableError:  # it has its own patience; handing over fails if it stays so
                continue

    async def _settle_all(self) -> None:
        """The same once the last one was taken. Where nobody can tell of one, nobody can of the next ones."""
        try:
            while self._open and await self._settle(self.timeout_s):
                pass
        except UnreachableError as error:
            self._first_error = self._first_error or error
        for line in self._open:
            self._missed.append(line.id)

    async def _settle(self, timeout_s: float) -> bool:
        """Notes what becomes of the line that is next; False: nobody could tell."""
        line, is_known = self._open[0], True
        try:
            # Of lines that are only to be taken it is told, too, when they are not spoken.
            level = "done" if self.level == "accepted" else self.level
            reached = await self.agent.wait(line, level, timeout_s=timeout_s, on_paused=self.on_paused)
            if self.level != "accepted":
                self.on_reached(reached)
        except UnreachableError:
            raise
        except LibaError as error:
            is_known = not isinstance(error, InterruptedSpeechError) or bool(error.state)
            self._miss(line.id, error)
        self._open.popleft()
        return is_known

    def _miss(self, utterance_id: str, error: LibaError) -> None:
        if not self._first_error:
            self._first_error = error
            if utterance_id not in str(error):
                error.args = (f"{utterance_id}: {error}",)
        self._missed.append(utterance_id)

    def _what_was_said(self) -> str:
        taken = self._count - len(self._missed)
        lost = f", {self._ids()} not spoken as asked" if self._missed else ""
        return f"{_lines(taken)} taken before{lost}; what came then was not"

    def _what_was_not(self) -> str:
        if self._count == 1:
            return str(self._first_error)
        part = f"{len(self._missed)} of {_lines(self._count)} not spoken as asked"
        return f"{part}: {self._ids()}; {self._first_error}"

    def _ids(self) -> str:
        more = ["..."] if len(self._missed) > _IDS_TOLD else []
        return ", ".join(self._missed[:_IDS_TOLD] + more)


def _passes(error: RefusedError) -> bool:
    """Whether it is worth waiting; not for a cap that never lets it pass."""
    return refusal_reason(error.reason).passes and (
        error.reason != "spend_cap" or error.retry_in_s is not None
    )


def _kind(obstacle: LibaError | None) -> str:
    return obstacle.reason if isinstance(obstacle, RefusedError) else type(obstacle).__name__


def _lines(count: int) -> str:
    return "1 line was" if count == 1 else f"{count} lines were"


def _reworded(error: LibaError, words: str) -> LibaError:
    error.args = (words,)
    return error
