"""The speaker of one room: utterances in strict order, voice → frames → sink, never two at once."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from dataclasses import replace

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.acquaintance import Acquaintances
from libacli.core.backlog import Backlog
from libacli.core.bounds import Bounds
from libacli.core.messages import SayRequest
from libacli.core.pace import longest_s
from libacli.core.pronunciation import Pronunciations
from libacli.core.queue_requests import MoveRequest
from libacli.core.utterance import Utterance
from libacli.speech.given import GivenSounds
from libacli.speech.notes import NoNotes, Notes
from libacli.speech.pace import Pace
from libacli.speech.ports import Sink, Voice
from libacli.speech.read_ahead import ReadAhead
from libacli.speech.speaking_task import SpeakingTask

_LONGEST_BEGIN_S = 10.0
"""What a line takes besides its sound: a voice that is slow to begin, or fails."""


class Speaker:
    """Speaks what it is told, one utterance after the other.

    `say`, `stop` and `find` only note down and answer at once; `run` does the speaking, until cancelled.
    `on_change` is called with an utterance each time its state has changed, `on_ask` with one and a number of
    characters each time that the voice is asked for so many of it; they must not block.
    The first request of the next utterance is made while the last of the current one plays.
    What is learned of the voice goes into `known`, which speakers may share.
    The voice gets texts as `spoken` makes them, with the words of `pronunciations` respelled; whoever is told
    of an utterance has the author's spelling.
    `notes` are of what an agent that follows is to say, where this one cannot: texts alone. A sound that is
    given is one of `given`, without which there is none.
    The clock is the event loop's.
    """

    def __init__(
        self,
        voice: Voice,
        sink: Sink,
        *,
        on_change: Callable[[Utterance], None],
        on_ask: Callable[[Utterance, int], None] = lambda utterance, chars: None,
        pace: Pace | None = None,
        bounds: Bounds | None = None,
        queue_limit: int = 32,
        known: Acquaintances | None = None,
        pronunciations: Pronunciations | None = None,
        notes: Notes | None = None,
        given: GivenSounds | None = None,
    ) -> None:
        self._sink = sink
        self._on_change = on_change
        self._pace = pace or Pace()
        self._bounds = bounds or Bounds()
        self._notes = notes or NoNotes()
        self._backlog = Backlog(limit=queue_limit)
        self._read_ahead = ReadAhead(
            voice,
            self._backlog,
            pace=self._pace,
            known=known or Acquaintances(),
            pronunciations=pronunciations or Pronunciations(),
            given=given,
            on_ask=on_ask,
        )
        self._work = asyncio.Event()
        self._over = asyncio.Event()
        self._task: SpeakingTask | None = None
        self._hands_on = False
        """It ends, and so would what it speaks: that is the next agent's then, if that one knows of it."""

        self.stops = 0
        """How often it was told to stop: what belongs to what was stopped is not worth saying any more."""

    @property
    def speaking(self) -> Utterance | None:
        return self._task.utterance if self._task else None

    @property
    def queue_length(self) -> int:
        """How many are waiting."""
        return len(self._backlog)

    @property
    def is_paused(self) -> bool:
        """What is spoken is finished, nothing new begins, and what waits gets no older."""
        return self._backlog.is_paused

    @property
    def waiting(self) -> list[Utterance]:
        """The queue, next one first."""
        self._drop_stale()
        return self._backlog.waiting

    def say(
        self,
        request: SayRequest,
        *,
        received_at: float | None = None,
        account: str = "",
        is_owners: bool = False,
    ) -> Acknowledgement:
        """Queues an utterance. Raises RefusedError, with a reason, when it will not be spoken.

        `received_at` is T0 on the loop's clock, when that was before this call; `account` pays for it. For
        those that are the owner's there are places in the queue that nobody else gets.
        """
        request = request if request.id else replace(request, id=uuid.uuid4().hex[:12])
        self._drop_stale()
        if not self._backlog.find(request.id):
            self._backlog.check_open()
            self._read_ahead.check(request, self._now())
            if request.interrupt:
                self.stop(reason="interrupted by a newer request")
        t0 = self._now() if received_at is None else received_at
        acknowledgement = self._backlog.offer(
            request, t0, speaking=self.speaking, account=account, is_owners=is_owners
        )
        if not acknowledgement.duplicate and (utterance := self._backlog.find(acknowledgement.id)):
            self._queued(utterance)
        return acknowledgement

    def take_up(self, utterance: Utterance) -> None:
        """Queues one that an agent before this one had accepted; one that it was saying goes first."""
        if not self._backlog.find(utterance.id):
            self._backlog.take_up(utterance)
            self._queued(utterance)

    def give_up(self, utterance: Utterance, *, reason: str) -> None:
        """Tells that one is lost which an agent before this one had accepted."""
        self.remember(utterance)
        if utterance.become("failed", self._now(), reason=reason):
            self._tell(utterance)

    def remember(self, utterance: Utterance) -> None:
        """Takes note of what an agent before this one had accepted, and what is not to be said."""
        self._backlog.remember(utterance)

    def _queued(self, utterance: Utterance) -> None:
        self._read_ahead.expect(utterance)
        if not utterance.request.sound:  # which the agent that follows would not have
            self._notes.accepted(utterance)
        self._work.set()
        self._read_ahead.look()
        self._on_change(utterance)

    def find(self, utterance_id: str) -> Utterance | None:
        """What is known of an id: waiting, spoken, or remembered for a while."""
        self._drop_stale()
        return self._backlog.find(utterance_id)

    def ahead_s(self, utterance: Utterance) -> float:
        """How long at most what is said before one that waits takes, in seconds."""
        before = [self.speaking] if self.speaking else []
        before += itertools.takewhile(lambda other: other is not utterance, self._backlog.waiting)
        return sum(_LONGEST_BEGIN_S + longest_s(other.request) for other in before)

    def find_waiting(self, utterance_id: str) -> Utterance:
        """The one of that id, if it waits. Raises RefusedError, which says what became of it."""
        self._drop_stale()
        return self._backlog.find_waiting(utterance_id)

    def ended(self, count: int) -> list[Utterance]:
        """Those that ended last, the newest one last; they are remembered for a while."""
        return self._backlog.ended(count)

    def stop(self, *, reason: str = "stopped") -> list[Utterance]:
        """Stops what is being spoken and forgets what waits; returns those utterances."""
        self.stops += 1
        dropped = self._backlog.clear(self._now(), reason=reason)
        self._tell_of_dropped(dropped)
        return [*self._stop_speaking(reason), *dropped]

    def stop_one(self, utterance_id: str, *, reason: str = "stopped") -> list[Utterance]:
        """The same for the one with this id, if it is spoken or waits; what comes after it is spoken."""
        if self.speaking and self.speaking.id == utterance_id:
            self.stops += 1
            return self._stop_speaking(reason)
        dropped = self._backlog.drop(utterance_id, self._now(), reason=reason)
        self._tell_of_dropped(dropped)
        return dropped

    def cancel(self, utterance_id: str) -> None:
        """Takes out one that waits. Raises RefusedError when it does not."""
        self.find_waiting(utterance_id)
        self._tell_of_dropped(self._backlog.drop(utterance_id, self._now(), reason="cancelled"))

    def move(self, asked: MoveRequest) -> Utterance:
        """Puts one that waits elsewhere, with the priority of that place. Raises RefusedError."""
        self._drop_stale()
        self._backlog.move(asked)
        self._notes.arranged(self._backlog.waiting)
        self._read_ahead.look()
        return self._backlog.find_waiting(asked.id)

    def pause(self) -> bool:
        """Nothing new begins from now on; whether that is news. Raises RefusedError when it is closed."""
        self._backlog.check_open()
        self._drop_stale()
        is_news = self._backlog.pause(self._now())
        if is_news:
            self._notes.paused(self._now())
            self._read_ahead.look()
        return is_news

    def stay_paused(self, *, since: float) -> None:
        """It was paused, at an agent before this one, at that moment of the loop's clock."""
        self._backlog.pause(since)
        self._read_ahead.look()

    def resume(self) -> bool:
        """Goes on; whether it was paused."""
        is_news = self._backlog.resume(self._now())
        if is_news:
            self._notes.arranged(self._backlog.waiting)
            self._notes.paused(None)
            self._work.set()
            self._read_ahead.look()
        return is_news

    def release(self, utterance_id: str = "") -> tuple[Utterance, bool]:
        """Gives the go-ahead to one on standby, without an id to the first one; and whether it was.

        Raises RefusedError when there is none.
        """
        utterance, is_news = self._backlog.release(utterance_id, self._now())
        if is_news:
            self._read_ahead.drop_barren(utterance)
            self._notes.arranged(self._backlog.waiting)
            self._work.set()
            self._read_ahead.look()
        return utterance, is_news

    def hand_on_waiting(self) -> None:
        """Leaves what waits to the agent that follows, as far as that one finds it; nothing is told of it."""
        self._backlog.hand_on(self._now(), keeps=self._notes.keeps)
        self._read_ahead.look()

    def hand_on(self, *, reason: str) -> None:
        """Falls silent, and leaves all to the agent that follows; what that one does not find is stopped."""
        self.close()
        self.hand_on_waiting()
        self._hands_on = True
        self.stop(reason=reason)

    def _tell_of_dropped(self, dropped: list[Utterance]) -> None:
        for utterance in dropped:
            self._tell(utterance)
        self._read_ahead.look()

    def _stop_speaking(self, reason: str) -> list[Utterance]:
        if self._task and self._task.stop(reason, hands_on=self._hands_on):
            return [self._task.utterance]
        return []

    def close(self) -> None:
        """Refuses what is new from now on."""
        self._backlog.close()

    async def drain(self) -> None:
        """Refuses what is new and waits until everything accepted is over; the bound is the caller's.

        What waits while it is paused, or is on standby, is stopped: nobody would have it go on.
        """
        self.close()
        self._tell_of_dropped(self._backlog.clear_standby(self._now(), reason="the agent stopped"))
        if self.is_paused:
            self._tell_of_dropped(self._backlog.clear(self._now(), reason="the agent stopped while paused"))
        while self.speaking or len(self._backlog):
            self._over.clear()
            await self._over.wait()

    async def run(self) -> None:
        """Speaks until cancelled; what is being spoken then is interrupted."""
        async with asyncio.TaskGroup() as tasks:
            with self._read_ahead.within(tasks):
                while True:
                    self._task = self._task_of(await self._take())
                    await self._task.run(tasks)
                    self._task = None
                    self._over.set()
                    self._read_ahead.look()

    def _task_of(self, utterance: Utterance) -> SpeakingTask:
        return SpeakingTask(
            utterance,
            self._read_ahead,
            self._sink,
            notes=self._notes,
            bounds=self._bounds,
            silence_tail_ms=self._pace.silence_tail_ms,
            on_change=self._tell,
            reason="the agent stopped",
        )

    async def _take(self) -> Utterance:
        self._drop_stale()
        while (utterance := self._backlog.pop()) is None:
            self._work.clear()
            await self._work.wait()
            self._drop_stale()
        return utterance

    def _tell(self, utterance: Utterance) -> None:
        if utterance.is_over:
            self._notes.over(utterance)
            self._read_ahead.forget(utterance, self._now())
        self._on_change(utterance)

    def _drop_stale(self) -> None:
        expired = self._backlog.expire(self._now())
        for utterance in expired:
            self._tell(utterance)
        if expired:
            self._read_ahead.look()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
