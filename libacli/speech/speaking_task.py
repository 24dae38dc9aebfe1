"""The task that speaks one utterance to its end, whatever that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from libacli.core.bounds import Bounds
from libacli.core.lifecycle import State, is_news
from libacli.core.route import route_word
from libacli.core.utterance import Utterance
from libacli.errors import CutOffError, LibaError
from libacli.log_context import about
from libacli.speech.given import Readable
from libacli.speech.notes import Notes
from libacli.speech.performance import Performance
from libacli.speech.ports import Sink
from libacli.speech.read_ahead import ReadAhead

logger = logging.getLogger("liba.speaker")


class SpeakingTask:
    """Speaks one utterance in a task of `tasks`, once more where it was cut off and may be said again.

    `on_change` is called each time that its state has changed. `reason` is told of one that is cancelled
    without having been stopped.
    """

    def __init__(
        self,
        utterance: Utterance,
        read_ahead: ReadAhead,
        sink: Sink,
        *,
        notes: Notes,
        bounds: Bounds,
        silence_tail_ms: int,
        on_change: Callable[[Utterance], None],
        reason: str,
    ) -> None:
        self.utterance = utterance
        self._read_ahead = read_ahead
        self._sink = sink
        self._notes = notes
        self._bounds = bounds
        self._silence_tail_ms = silence_tail_ms
        self._on_change = on_change
        self._stop_reason = reason
        self._task: asyncio.Task[None] | None = None
        self._falls_silent = False
        self._hands_on = False

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Returns once it is over; one that is cancelled leaves what it can to the agent that follows."""
        reading = self._read_ahead.take(self.utterance)
        with about(uid=self.utterance.id):
            self._task = tasks.create_task(self._speak(reading))
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._hands_on = True
            raise
        finally:
            self._read_ahead.give_back()
        # A task that is cancelled before its first step never gets to say so itself.
        self._cut_off()

    def stop(self, reason: str, *, hands_on: bool = False) -> bool:
        """Falls silent; whether there was anything to stop. `hands_on`: the agent that follows says it."""
        self._hands_on |= hands_on
        if not self._task or self.utterance.is_over:
            return False
        if not self._falls_silent:  # else this would cut off the clear that is under way
            self._stop_reason = reason
            self._task.cancel()
        return True

    async def _speak(self, reading: Readable) -> None:
        """Raises nothing."""
        _log_begin(self.utterance)
        self.utterance.timeline.mark("turn", self._now())
        self._notes.begun(self.utterance)
        try:
            try:
                await self._perform(reading)
            except CutOffError as error:
                if self.utterance.resumed or not self._notes.keeps(self.utterance):
                    raise
                await self._perform(await self._resumed(error))
        except asyncio.CancelledError:
            # It ends here. Before Python 3.11.3 a timeout in a task that counts as cancelled raises
            # CancelledError, and what is bounded in `clear` would be given up (python/cpython#102780).
            if task := asyncio.current_task():
                task.uncancel()
            await self._silence(then=self._cut_off)
        except Exception as error:  # one bad utterance must not make the agent deaf to the next
            reason = self._explain(error)
            await self._silence(then=lambda: self._end("failed", reason))

    async def _resumed(self, error: CutOffError) -> Readable:
        """Of one that is said once more, as the agent that follows would say it: some of it nobody heard."""
        logger.warning("uid=%s is said again from its beginning: %s", self.utterance.id, error)
        async with asyncio.timeout(self._bounds.speaker_clear_s):
            await self._sink.clear()
        self.utterance.resume()
        self._notes.begun(self.utterance)
        return self._read_ahead.take_again(self.utterance)

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

    async def _perform(self, reading: Readable) -> None:
        performance = Performance(
            self.utterance,
            reading,
            self._sink,
            bounds=self._bounds,
            silence_tail_ms=self._silence_tail_ms,
            become=self._become,
        )
        playback = await performance.run()
        state: State = "unconfirmed" if playback.source == "estimated" else "done"
        reason = ""
        if performance.cut_off:
            state, reason = "failed", self._explain(performance.cut_off)
        await self._notes.end(self.utterance, state, reason)  # before it is told: that is not said again
        self._end(state, reason)

    def _become(self, state: State) -> None:
        if self.utterance.resumed and not is_news(state, self.utterance.state):
            return  # it was told before it was cut off
        if self.utterance.become(state, self._now()):
            self._on_change(self.utterance)

    def _end(self, state: State, reason: str = "") -> None:
        if self.utterance.become(state, self._now(), reason=reason):
            _log_metrics(self.utterance)
            self._on_change(self.utterance)

    def _cut_off(self) -> None:
        """Ends it before its end, or leaves it to the agent that follows."""
        if self._hands_on and not self.utterance.is_over and self._notes.keeps(self.utterance):
            self.utterance.hand_on(self._now())
        else:
            self._end("interrupted", self._stop_reason)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, LibaError):
            reason = str(error)
        elif isinstance(error, TimeoutError):
            reason = "the sink did not take the sound in time"
        else:
            logger.error("uid=%s failed", self.utterance.id, exc_info=error)
            return "internal error"
        logger.error("uid=%s failed: %s", self.utterance.id, reason)
        return reason

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


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
