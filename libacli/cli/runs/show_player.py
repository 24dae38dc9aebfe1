"""Plays the turns of a show: each line is with the agent before its time, and begins when its time has come.

A line that follows at once waits in the agent's queue. One before which there is a pause, a step or another
room is held by the agent, which makes it ready, until it gets the go-ahead: from here, or from anybody.
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
from libacli.core.show_plan import ShowPlan, Turn
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

    def waits(self, turn: Turn) -> None: ...

    def speaks(self, turn: Turn) -> None: ...

    def over(self, result: CueResult, cue: Cue) -> None: ...

    def note(self, words: str) -> None: ...


@dataclass
class ShowPlayer:
    """Plays one show, once. `go` gives the go-ahead to the line that waits for it, or cuts a pause short."""

    agents: Mapping[str, Agent]
    """By room."""

    request: Callable[[Turn], SayRequest]
    watcher: Watcher
    began_at: float
    """When the show began, on the loop's clock."""

    place: tuple[int, Cue] | None = None
    """The first cue that is not over; None: all are."""

    failures: list[tuple[int, LibaError]] = field(default_factory=list)
    """Numbers of the cues that were not spoken as written, and why."""

    played: int = 0
    """Lines whose turn came."""

    _open: dict[str, str] = field(default_factory=dict)
    """Rooms of the lines that agents may have, by id, in the order of the show."""

    _held: Turn | None = None
    """The one that is held, or is about to be: nothing that comes behind it is with an agent."""

    _held_id: str = ""
    """Its id, once the agent has it."""

    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AHEAD + 1))
    _gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Open: nothing is held, so what comes next passes nothing."""

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
        handed: asyncio.Queue[tuple[Turn, Delivery | LibaError]] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [
                    tasks.create_task(self._feed(plan.turns, handed)),
                    tasks.create_task(self._give_go_aheads()),
                ]
                try:
                    for turn in plan.turns:
                        self.place = turn.first
                        await self._take(turn, (await handed.get())[1], tasks)
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
        self, turns: Sequence[Turn], handed: asyncio.Queue[tuple[Turn, Delivery | LibaError]]
    ) -> None:
        """Hands lines over ahead of their time; what is behind one that is held waits until that begins."""
        for turn in turns:
            await self._places.acquire()
            await self._gate.wait()
            try:
                said: Delivery | LibaError = await self._hand_over(turn)
            except LibaError as error:
                said = error
            await handed.put((turn, said))

    async def _hand_over(self, turn: Turn) -> Delivery:
        request = self.request(turn)
        self._open[request.id] = turn.room
        if turn.is_held:
            self._held, self._held_id = turn, ""
            self._gate.clear()
        said = await hand_over(
            self.agents[turn.room], request, timeout_s=_LINE_TIMEOUT_S, on_wait=self.watcher.note
        )
        if said.level == "sent":
            raise refusal(
                "unsupported_server", "this LiveKit server cannot ask the agent what becomes of a line"
            )
        if turn.is_held:
            self._held_id = said.id
        return said

    async def _take(self, turn: Turn, said: Delivery | LibaError, tasks: asyncio.TaskGroup) -> None:
        """One turn, to its end. Raises LibaError for what ends the show."""
        self.played += 1
        started: float | None = None
        utterance_id = said.id if isinstance(said, Delivery) else ""
        try:
            if isinstance(said, LibaError):
                raise said
            await self._until_audible(turn, said, tasks)
            started = self._now()
            self.place = (turn.number, turn.cue)
            self._begun(turn)
            self.watcher.speaks(turn)
            said = await self._wait(turn, said, "done")
            if said.level == "unconfirmed":
                raise TimedOutError("nobody confirmed the end of it", hint="the avatar may be stuck")
        except asyncio.CancelledError:
            self._tell_end(turn, utterance_id, "interrupted", started, "the show was ended")
            raise
        except LibaError as error:
            self._tell_end(turn, utterance_id, state_of(error), started, str(error))
            if ends_show(error):
                raise
            self.failures.append((turn.number, error))
        else:
            route = str((said.report or {}).get("route", ""))
            result = CueResult(
                turn.number, turn.cue.label, said.id, said.level, route, started, ended=self._now()
            )
            self.watcher.over(result, turn.cue)
        self._begun(turn)
        self._open.pop(utterance_id, None)
        self._places.release()

    def _tell_end(
        self, turn: Turn, utterance_id: str, state: str, started: float | None, reason: str
    ) -> None:
        ended = None if started is None else self._now()
        self.watcher.over(
            CueResult(turn.number, turn.cue.label, utterance_id, state, "", started, ended, reason=reason),
            turn.cue,
        )

    async def _until_audible(self, turn: Turn, said: Delivery, tasks: asyncio.TaskGroup) -> None:
        """Sees to it that it begins when its time has come, and waits until it can be heard."""
        if turn.waits and not turn.pauses:
            self.watcher.waits(turn)
        release = tasks.create_task(self._release(turn, said)) if turn.is_held else None
        try:
            await self._wait(turn, said, "audible")
        finally:
            if release:
                release.cancel()
                await asyncio.wait([release])

    async def _release(self, turn: Turn, said: Delivery) -> None:
        """Its go-ahead, after the pauses before it; where somebody else gives it, none from here."""
        await self._pause(turn.pauses)
        if turn.waits:
            if turn.pauses:
                self.watcher.waits(turn)
            return
        while True:
            with suppress(LibaError):  # where it stays so, who waits for the line is told
                await self.agents[turn.room].next(said.id)
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

    async def _wait(self, turn: Turn, said: Delivery, level: str) -> Delivery:
        return await self.agents[turn.room].wait(
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
            if not self._held or not self._held_id:
                self.watcher.note("nothing waits for the go-ahead now")
                continue
            try:
                await self.agents[self._held.room].next(self._held_id)
            except LibaError as error:
                self.watcher.note(str(error))

    def _begun(self, turn: Turn) -> None:
        if self._held is turn:
            self._held = None
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
