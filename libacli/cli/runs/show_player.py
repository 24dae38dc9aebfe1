"""Plays the lines of a show: each line is with the agent before its time, and begins when its time has come.

A line that follows at once waits in the agent's queue. One before which there is a pause, a step or another
room is on standby at the agent, which makes it ready, until it gets the go-ahead: from here, or from anybody.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from libacli.cli.runs.say_stream import hand_over
from libacli.core.cue import Cue
from libacli.core.cue_result import CueResult, ends_show, state_of
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import NextAnswer
from libacli.core.reasons import refusal
from libacli.core.show_plan import ShowLine, ShowPlan
from libacli.errors import LibaError, TimedOutError

_AHEAD = 3
"""Lines that are with agents besides the one that is spoken: a stop ends them, and others' come between."""

_LINE_TIMEOUT_S = 3600.0
"""How long a line may wait for a place, or take: an hour's queue of others may be before it."""

_AGAIN_S = 1.0
"""Before a go-ahead that did not arrive is given again."""

_CLEAR_S = 5.0


class Agent(Protocol):
    """Who speaks in one room; see AgentClient."""

    async def say(self, request: SayRequest) -> Delivery: ...

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        grows_to_s: float = ...,
        on_paused: Callable[[], None] | None = ...,
    ) -> Delivery: ...

    async def next(self, utterance_id: str = ...) -> NextAnswer: ...

    async def stop(self, utterance_id: str = ...) -> list[str]: ...


class Watcher(Protocol):
    """Who is told how the show goes on."""

    def pauses(self, number: int, cue: Cue) -> None: ...

    def waits(self, line: ShowLine) -> None: ...

    def speaks(self, line: ShowLine) -> None: ...

    def over(self, result: CueResult, cue: Cue) -> None: ...

    def note(self, words: str) -> None: ...


@dataclass
class ShowPlayer:
    """Plays one show, once. `go` gives the go-ahead to the line that waits for it, or cuts a pause short."""

    agents: Mapping[str, Agent]
    """By room."""

    request: Callable[[ShowLine], SayRequest]
    watcher: Watcher
    began_at: float
    """When the show began, on the loop's clock."""

    place: tuple[int, Cue] | None = None
    """The first cue that is not over; None: all are."""

    failures: list[tuple[int, LibaError]] = field(default_factory=list)
    """Numbers of the cues that were not spoken as written, and why."""

    played: int = 0
    """Lines whose time came."""

    _open: dict[str, str] = field(default_factory=dict)
    """Rooms of the lines that agents may have, by id, in the order of the show."""

    _standby: ShowLine | None = None
    """The one on standby, or about to be: nothing that comes behind it is with an agent."""

    _standby_id: str = ""
    """Its id, once the agent has it."""

    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AHEAD + 1))
    _gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Open: nothing is on standby, so what comes next passes nothing."""

    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody has given the go-ahead at the terminal."""

    def go(self) -> None:
        self._wanted.set()

    async def play(self, plan: ShowPlan) -> None:
        """All of it. Raises LibaError when it ended early.

        Then, and when it is cancelled, its lines are taken back, and `place` says where it was.
        """
        self._gate.set()
        failure: LibaError | None = None
        handed: asyncio.Queue[tuple[ShowLine, Delivery | LibaError]] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [
                    tasks.create_task(self._feed(plan.lines, handed)),
                    tasks.create_task(self._give_go_aheads()),
                ]
                try:
                    for line in plan.lines:
                        self.place = line.first
                        await self._take(line, (await handed.get())[1], tasks)
                    await self._pause(plan.rest)
                    self.place = None
                except LibaError as error:  # a group would wrap it
                    failure = error
                for helper in helpers:
                    helper.cancel()
        except asyncio.CancelledError:
            if task := asyncio.current_task():
                task.uncancel()  # see Speaker: a bound below would be taken for this, before Python 3.11.3
            await self._take_back()
            raise
        if failure:
            await self._take_back()
            raise failure

    async def _feed(
        self, lines: Sequence[ShowLine], handed: asyncio.Queue[tuple[ShowLine, Delivery | LibaError]]
    ) -> None:
        """Hands lines over ahead of their time; what is behind one on standby waits until that begins."""
        for line in lines:
            await self._places.acquire()
            await self._gate.wait()
            try:
                said: Delivery | LibaError = await self._hand_over(line)
            except LibaError as error:
                said = error
            await handed.put((line, said))

    async def _hand_over(self, line: ShowLine) -> Delivery:
        request = self.request(line)
        self._open[request.id] = line.room
        if line.is_on_standby:
            self._standby, self._standby_id = line, ""
            self._gate.clear()
        said = await hand_over(
            self.agents[line.room], request, timeout_s=_LINE_TIMEOUT_S, on_wait=self.watcher.note
        )
        if said.level == "sent":
            raise refusal(
                "unsupported_server", "this LiveKit server cannot ask the agent what becomes of a line"
            )
        if line.is_on_standby:
            self._standby_id = said.id
        return said

    async def _take(self, line: ShowLine, said: Delivery | LibaError, tasks: asyncio.TaskGroup) -> None:
        """One line, to its end. Raises LibaError for what ends the show."""
        self.played += 1
        started: float | None = None
        utterance_id = said.id if isinstance(said, Delivery) else ""
        try:
            if isinstance(said, LibaError):
                raise said
            await self._until_audible(line, said, tasks)
            started = self._now()
            self.place = (line.number, line.cue)
            self._begun(line)
            self.watcher.speaks(line)
            said = await self._wait(line, said, "done")
            if said.level == "unconfirmed":
                raise TimedOutError("nobody confirmed the end of it", hint="the avatar may be stuck")
        except asyncio.CancelledError:
            self._tell_end(line, utterance_id, "interrupted", started, "the show was ended")
            raise
        except LibaError as error:
            self._tell_end(line, utterance_id, state_of(error), started, str(error))
            if ends_show(error):
                raise
            self.failures.append((line.number, error))
        else:
            route = str((said.report or {}).get("route", ""))
            result = CueResult(
                line.number, line.cue.label, said.id, said.level, route, started, ended=self._now()
            )
            self.watcher.over(result, line.cue)
        self._begun(line)
        self._open.pop(utterance_id, None)
        self._places.release()

    def _tell_end(
        self, line: ShowLine, utterance_id: str, state: str, started: float | None, reason: str
    ) -> None:
        ended = None if started is None else self._now()
        self.watcher.over(
            CueResult(line.number, line.cue.label, utterance_id, state, "", started, ended, reason=reason),
            line.cue,
        )

    async def _until_audible(self, line: ShowLine, said: Delivery, tasks: asyncio.TaskGroup) -> None:
        """Sees to it that it begins when its time has come, and waits until it can be heard."""
        if line.waits and not line.pauses:
            self.watcher.waits(line)
        release = tasks.create_task(self._release(line, said)) if line.is_on_standby else None
        try:
            await self._wait(line, said, "audible")
        finally:
            if release:
                release.cancel()
                await asyncio.wait([release])

    async def _release(self, line: ShowLine, said: Delivery) -> None:
        """Its go-ahead, after the pauses before it; where somebody else gives it, none from here."""
        await self._pause(line.pauses)
        if line.waits:
            if line.pauses:
                self.watcher.waits(line)
            return
        while True:
            with suppress(LibaError):  # where it stays so, who waits for the line is told
                await self.agents[line.room].next(said.id)
                return
            await asyncio.sleep(_AGAIN_S)

    async def _pause(self, pauses: Sequence[tuple[int, Cue]]) -> None:
        for number, cue in pauses:
            self.place = (number, cue)
            self.watcher.pauses(number, cue)
            started, state = self._now(), "skipped"
            try:
                await asyncio.sleep(cue.pause_s)
                state = "done"
            finally:
                ended = self._now()
                self.watcher.over(CueResult(number, cue.label, "", state, started=started, ended=ended), cue)

    async def _wait(self, line: ShowLine, said: Delivery, level: str) -> Delivery:
        return await self.agents[line.room].wait(
            said,
            level,
            timeout_s=_LINE_TIMEOUT_S,
            grows_to_s=math.inf,
            on_paused=lambda: self.watcher.note("paused: nothing begins until `liba queue resume`"),
        )

    async def _give_go_aheads(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not self._standby or not self._standby_id:
                self.watcher.note("nothing waits for the go-ahead now")
                continue
            try:
                await self.agents[self._standby.room].next(self._standby_id)
            except LibaError as error:
                self.watcher.note(str(error))

    def _begun(self, line: ShowLine) -> None:
        if self._standby is line:
            self._standby = None
            self._gate.set()

    async def _take_back(self) -> None:
        """Stops what is spoken of this show, and takes out what waits; the last one first, so none begins."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLEAR_S):
                for utterance_id, room in reversed(self._open.items()):
                    with suppress(LibaError):
                        await self.agents[room].stop(utterance_id)
        self._open.clear()

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self.began_at
