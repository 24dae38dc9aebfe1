"""The speaker of one room: utterances in strict order, voice → frames → sink, never two at once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import Callable
from dataclasses import replace

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.acquaintance import Acquaintances
from libacli.core.backlog import Backlog
from libacli.core.bounds import Bounds
from libacli.core.given_sound import GIVEN
from libacli.core.lifecycle import State, is_news
from libacli.core.messages import SayRequest
from libacli.core.pace import longest_s
from libacli.core.pronunciation import Pronunciations
from libacli.core.queue_requests import MoveRequest
from libacli.core.reasons import refusal
from libacli.core.route import route_word
from libacli.core.utterance import Utterance
from libacli.errors import CutOffError, LibaError, RefusedError
from libacli.log_context import about
from libacli.speech.cache import is_remembered
from libacli.speech.chain import unknown_speaker
from libacli.speech.given import GivenSounds, Readable
from libacli.speech.notes import NoNotes, Notes
from libacli.speech.pace import Pace
from libacli.speech.performance import Performance
from libacli.speech.ports import Sink, Style, Take, Voice
from libacli.speech.reading import Reading
from libacli.speech.reading_events import ReadingEvents

logger = logging.getLogger("liba.speaker")

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
        self._voice = voice
        self._sink = sink
        self._on_change = on_change
        self._on_ask = on_ask
        self._pace = pace or Pace()
        self._bounds = bounds or Bounds()
        self._known = known or Acquaintances()
        self._pronunciations = pronunciations or Pronunciations()
        self._notes = notes or NoNotes()
        self._given = given
        self._backlog = Backlog(limit=queue_limit)
        self._work = asyncio.Event()
        self._over = asyncio.Event()
        self._speaking: Utterance | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading: Readable | None = None
        self._next: tuple[Utterance, Readable] | None = None
        self._runs = False
        self._stop_reason = "the agent stopped"
        self._falls_silent = False
        self._hands_on = False
        """It ends, and so would what it speaks: that is the next agent's then, if that one knows of it."""

        self.stops = 0
        """How often it was told to stop: what belongs to what was stopped is not worth saying any more."""

    @property
    def speaking(self) -> Utterance | None:
        return self._speaking

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
            self._check_can_be_heard(request)
            if request.interrupt:
                self.stop(reason="interrupted by a newer request")
        t0 = self._now() if received_at is None else received_at
        acknowledgement = self._backlog.offer(
            request, t0, speaking=self._speaking, account=account, is_owners=is_owners
        )
        if not acknowledgement.duplicate and (utterance := self._backlog.find(acknowledgement.id)):
            self._queued(utterance)
        return acknowledgement

    def _check_can_be_heard(self, request: SayRequest) -> None:
        """Raises RefusedError."""
        if request.sound:
            if not self._given:
                raise refusal("unknown_sound", "this agent takes no sounds")
            self._given.check(request.sound, self._now())
            return
        script = self._pronunciations.script_of(request.text)
        words = " ".join(item for item in script if isinstance(item, str))
        if objection := self._voice.objection(words):
            raise RefusedError("unsupported_text", objection)
        if complaint := unknown_speaker(self._voice, request.voice):
            raise RefusedError("unknown_voice", complaint)

    def take_up(self, utterance: Utterance) -> None:
        """Queues one that an agent before this one had accepted; one that it was saying goes first."""
        if not self._backlog.find(utterance.id):
            self._backlog.take_up(utterance)
            self._queued(utterance)

    def give_up(self, utterance: Utterance, *, reason: str) -> None:
        """Tells that one is lost which an agent before this one had accepted."""
        self.remember(utterance)
        self._end(utterance, "failed", reason)

    def remember(self, utterance: Utterance) -> None:
        """Takes note of what an agent before this one had accepted, and what is not to be said."""
        self._backlog.remember(utterance)

    def _queued(self, utterance: Utterance) -> None:
        if (sound := utterance.request.sound) and self._given:
            utterance.voice = GIVEN
            self._given.shelf.hold(sound.sha256, utterance.id)
        else:
            utterance.voice = utterance.request.voice or self._voice.name
            self._notes.accepted(utterance)
        self._work.set()
        self._look_ahead()
        self._on_change(utterance)

    def find(self, utterance_id: str) -> Utterance | None:
        """What is known of an id: waiting, spoken, or remembered for a while."""
        self._drop_stale()
        return self._backlog.find(utterance_id)

    def ahead_s(self, utterance: Utterance) -> float:
        """How long at most what is said before one that waits takes, in seconds."""
        before = [self._speaking] if self._speaking else []
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
        if self._speaking and self._speaking.id == utterance_id:
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
        self._look_ahead()
        return self._backlog.find_waiting(asked.id)

    def pause(self) -> bool:
        """Nothing new begins from now on; whether that is news. Raises RefusedError when it is closed."""
        self._backlog.check_open()
        self._drop_stale()
        is_news = self._backlog.pause(self._now())
        if is_news:
            self._notes.paused(self._now())
            self._look_ahead()
        return is_news

    def stay_paused(self, *, since: float) -> None:
        """It was paused, at an agent before this one, at that moment of the loop's clock."""
        self._backlog.pause(since)
        self._look_ahead()

    def resume(self) -> bool:
        """Goes on; whether it was paused."""
        is_news = self._backlog.resume(self._now())
        if is_news:
            self._notes.arranged(self._backlog.waiting)
            self._notes.paused(None)
            self._work.set()
            self._look_ahead()
        return is_news

    def release(self, utterance_id: str = "") -> tuple[Utterance, bool]:
        """Gives the go-ahead to one on standby, without an id to the first one; and whether it was.

        Raises RefusedError when there is none.
        """
        utterance, is_news = self._backlog.release(utterance_id, self._now())
        if is_news:
            if self._next and self._next[0] is utterance and self._next[1].is_barren:
                self._drop_next()  # the voice failed then; now it may not
            self._notes.arranged(self._backlog.waiting)
            self._work.set()
            self._look_ahead()
        return utterance, is_news

    def hand_on_waiting(self) -> None:
        """Leaves what waits to the agent that follows, as far as that one finds it; nothing is told of it."""
        self._backlog.hand_on(self._now(), keeps=self._notes.keeps)
        self._look_ahead()

    def hand_on(self, *, reason: str) -> None:
        """Falls silent, and leaves all to the agent that follows; what that one does not find is stopped."""
        self.close()
        self.hand_on_waiting()
        self._hands_on = True
        self.stop(reason=reason)

    def _tell_of_dropped(self, dropped: list[Utterance]) -> None:
        for utterance in dropped:
            self._tell(utterance)
        self._look_ahead()

    def _stop_speaking(self, reason: str) -> list[Utterance]:
        if not self._task or not self._speaking or self._speaking.is_over:
            return []
        if not self._falls_silent:  # else this would cut off the clear that is under way
            self._stop_reason = reason
            self._task.cancel()
        return [self._speaking]

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
        while self._speaking or len(self._backlog):
            self._over.clear()
            await self._over.wait()

    async def run(self) -> None:
        """Speaks until cancelled; what is being spoken then is interrupted."""
        async with asyncio.TaskGroup() as self._tasks:
            self._runs = True
            self._look_ahead()
            while True:
                self._speaking = await self._take()
                self._falls_silent = False
                self._reading = self._take_reading(self._speaking)
                with about(uid=self._speaking.id):
                    self._task = self._tasks.create_task(self._speak(self._speaking, self._reading))
                try:
                    await asyncio.wait([self._task])
                except asyncio.CancelledError:
                    self._hands_on = True
                    raise
                finally:
                    self._reading.cancel()
                # A task that is cancelled before its first step never gets to say so itself.
                self._cut_off(self._speaking)
                self._speaking = self._task = self._reading = None
                self._over.set()
                self._look_ahead()

    async def _take(self) -> Utterance:
        self._drop_stale()
        while (utterance := self._backlog.pop()) is None:
            self._work.clear()
            await self._work.wait()
            self._drop_stale()
        return utterance

    def _take_reading(self, utterance: Utterance) -> Readable:
        ahead, self._next = self._next, None
        if ahead and ahead[0] is utterance:
            return ahead[1]
        if ahead:
            ahead[1].cancel()
        return self._read(utterance)

    def _look_ahead(self) -> None:
        """Asks for the beginning of the next utterance, once nothing more is asked for of this one.

        Where none is next, of the one on standby: it is to be heard at once when it gets its go-ahead.
        """
        upcoming = self._backlog.peek() or (self._backlog.peek_standby() if self._runs else None)
        if self._next and self._next[0] is not upcoming:
            self._drop_next()
        is_due = self._reading.is_all_asked if self._reading else bool(upcoming and upcoming.is_on_standby)
        if upcoming and not self._next and is_due:
            self._next = (upcoming, self._read(upcoming))

    def _drop_next(self) -> None:
        if self._next:
            self._next[1].cancel()
            self._next = None

    def _read(self, utterance: Utterance) -> Readable:
        request = utterance.request
        if request.sound and self._given:
            return self._given.read(
                request.sound,
                on_take=lambda take: _note(utterance, take),
                on_all_asked=self._look_ahead,
            )
        script = self._pronunciations.script_of(request.text)
        style = Style(request.voice, request.speed, request.instructions)
        is_at_once = all(is_remembered(self._voice, item, style) for item in script if isinstance(item, str))

        def on_ask(chars: int) -> None:
            if not is_at_once:  # what is remembered costs nothing
                utterance.asked_chars += chars
                self._on_ask(utterance, chars)

        def on_sound(seconds: float) -> None:
            utterance.asked_s += seconds

        with about(uid=utterance.id):
            return Reading(
                self._tasks,
                self._voice,
                script,
                style,
                pace=self._pace,
                known=self._known,
                events=ReadingEvents(
                    on_ask=on_ask,
                    on_last_request=self._look_ahead,
                    on_take=lambda take: _note(utterance, take),
                    on_sound=on_sound,
                ),
                is_at_once=is_at_once,
            )

    async def _speak(self, utterance: Utterance, reading: Readable) -> None:
        """Speaks one utterance to its end, whatever that is. Raises nothing."""
        _log_begin(utterance)
        utterance.timeline.mark("turn", self._now())
        self._notes.begun(utterance)
        try:
            try:
                await self._perform(utterance, reading)
            except CutOffError as error:
                if utterance.resumed or not self._notes.keeps(utterance):
                    raise
                await self._perform(utterance, await self._resumed(utterance, error))
        except asyncio.CancelledError:
            # It ends here. Before Python 3.11.3 a timeout in a task that counts as cancelled raises
            # CancelledError, and what is bounded in `clear` would be given up (python/cpython#102780).
            if task := asyncio.current_task():
                task.uncancel()
            await self._silence(then=lambda: self._cut_off(utterance))
        except Exception as error:  # one bad utterance must not make the agent deaf to the next
            reason = self._explain(utterance, error)
            await self._silence(then=lambda: self._end(utterance, "failed", reason))

    async def _resumed(self, utterance: Utterance, error: CutOffError) -> Readable:
        """Of one that is said once more, as the agent that follows would say it: some of it nobody heard."""
        logger.warning("uid=%s is said again from its beginning: %s", utterance.id, error)
        async with asyncio.timeout(self._bounds.speaker_clear_s):
            await self._sink.clear()
        if self._reading:
            self._reading.cancel()
        utterance.resume()
        self._notes.begun(utterance)
        self._reading = self._read(utterance)
        return self._reading

    async def _silence(self, *, then: Callable[[], None]) -> None:
        """Has the sink fall silent, and calls `then`, also when that fails or is cancelled itself."""
        self._falls_silent = True
        try:
            async with asyncio.timeout(self._bounds.speaker_clear_s):
                await self._sink.clear()
        except Exception as error:  # against its port; but a sink must not take the speaker with it
            logger.error("the sink was not cleared", exc_info=error)
        finally:
            then()

    async def _perform(self, utterance: Utterance, reading: Readable) -> None:
        performance = Performance(
            utterance,
            reading,
            self._sink,
            bounds=self._bounds,
            silence_tail_ms=self._pace.silence_tail_ms,
            become=lambda state: self._become(utterance, state),
        )
        playback = await performance.run()
        state: State = "unconfirmed" if playback.source == "estimated" else "done"
        reason = ""
        if performance.cut_off:
            state, reason = "failed", self._explain(utterance, performance.cut_off)
        await self._notes.end(utterance, state, reason)  # before it is told: what was told is not said again
        self._end(utterance, state, reason)

    def _become(self, utterance: Utterance, state: State) -> None:
        if utterance.resumed and not is_news(state, utterance.state):
            return  # it was told before it was cut off
        if utterance.become(state, self._now()):
            self._tell(utterance)

    def _end(self, utterance: Utterance, state: State, reason: str = "") -> None:
        if utterance.become(state, self._now(), reason=reason):
            _log_metrics(utterance)
            self._tell(utterance)

    def _cut_off(self, utterance: Utterance) -> None:
        """Ends it before its end, or leaves it to the agent that follows."""
        if self._hands_on and not utterance.is_over and self._notes.keeps(utterance):
            utterance.hand_on(self._now())
        else:
            self._end(utterance, "interrupted", self._stop_reason)

    def _tell(self, utterance: Utterance) -> None:
        if utterance.is_over:
            self._notes.over(utterance)
            if (sound := utterance.request.sound) and self._given:
                self._given.shelf.release(sound.sha256, utterance.id, self._now())
        self._on_change(utterance)

    def _explain(self, utterance: Utterance, error: Exception) -> str:
        if isinstance(error, LibaError):
            reason = str(error)
        elif isinstance(error, TimeoutError):
            reason = "the sink did not take the sound in time"
        else:
            logger.error("uid=%s failed", utterance.id, exc_info=error)
            return "internal error"
        logger.error("uid=%s failed: %s", utterance.id, reason)
        return reason

    def _drop_stale(self) -> None:
        expired = self._backlog.expire(self._now())
        for utterance in expired:
            self._tell(utterance)
        if expired:
            self._look_ahead()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _note(utterance: Utterance, take: Take) -> None:
    """Notes down who is about to be heard: who speaks first, and why another one does, if for a part only."""
    if not utterance.provider:
        utterance.provider, utterance.model, utterance.voice = take.provider, take.model, take.voice
        utterance.cached = True
    utterance.voice_reason = utterance.voice_reason or take.reason
    utterance.cached &= take.is_cached
    utterance.hedged |= take.is_hedged
    utterance.reworded |= take.is_reworded


def _log_begin(utterance: Utterance) -> None:
    if sound := utterance.request.sound:
        logger.info("Playing a given sound: %.1f s, uid=%s", sound.seconds, utterance.id)
        return
    logger.info("Synthesizing speech: %d characters, uid=%s", len(utterance.request.text), utterance.id)
    logger.debug("Synthesizing speech: %r", utterance.request.text)


def _log_metrics(utterance: Utterance) -> None:
    marks = utterance.timeline
    since_t0 = [
        "-" if mark is None else f"{(mark - marks.t0) * 1000:.0f}" for mark in (marks.t1, marks.t2, marks.t3)
    ]
    logger.info(
        "METRICS | uid=%s | route=%s | ms_tts_start=%s | ms_first_audio=%s | ms_total_approx=%s | frames=%d",
        utterance.id,
        route_word(utterance.route, "-"),
        *since_t0,
        utterance.frames,
    )
