"""What becomes of the numbers: each goes to all meters, and none of them can do harm to speech."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from libacli.core.event import Event, QueueNews, Rejection
from libacli.core.lifecycle import OUTCOMES
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.usage import Usage
from libacli.core.utterance_record import UtteranceRecord

logger = logging.getLogger("liba.metrics")

_TICK_S = 5.0
"""How often avatar time and caps are told: a third of the 15 s in which Prometheus scrapes as a rule."""

_CLOSE_TIMEOUT_S = 2.0
"""Of the 15 s in which an agent is to be gone, 10 are for speech."""


class Meter:
    """Counts what happens in one room. As it stands it counts nothing; what it shall count is overridden.

    All but `run` and `aclose` return at once.
    """

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        """An utterance has ended, which `trace` of its caller's is about."""

    def refuse(self, reason: str) -> None:
        """A request was rejected."""

    def queue(self, length: int) -> None:
        """So many utterances wait now."""

    def paused(self, is_paused: bool) -> None:
        """Whether the queue is paused now."""

    def avatar_seconds(self, seconds: float) -> None:
        """An avatar was there for so much longer."""

    def spent(self, caps: Sequence[Usage]) -> None:
        """So much of each cap is used up now."""

    async def run(self) -> None:
        """Does what has to be done meanwhile, until cancelled; may return before."""

    async def aclose(self) -> None:
        """Brings what was counted to where it belongs; the bound is the caller's."""


class Meters:
    """All meters of one room. `avatar_time` tells seconds of avatar time so far, `caps` what is used up."""

    def __init__(
        self,
        meters: Sequence[Meter],
        *,
        avatar_time: Callable[[], float],
        caps: Callable[[], Sequence[Usage]] = tuple,
    ) -> None:
        self._meters = meters
        self._avatar_time = avatar_time
        self._caps = caps
        self._told_s = 0.0

    def take_event(self, event: Event | Rejection) -> None:
        """Counts an event of the agent, as everybody in the room gets it. Raises nothing."""
        self._each(lambda meter: _tell(meter, event))

    def take_queue_news(self, news: QueueNews) -> None:
        """Counts what the queue has become. Raises nothing."""
        self._each(lambda meter: meter.paused(news.facts.paused))

    def refuse(self, reason: str) -> None:
        """Counts what the room is told nothing of. Raises nothing."""
        self._each(lambda meter: meter.refuse(reason))

    async def run(self) -> None:
        """Works until cancelled; a meter that breaks down is left out."""
        async with asyncio.TaskGroup() as tasks:
            for meter in self._meters:
                tasks.create_task(_run(meter))
            while True:
                await asyncio.sleep(_TICK_S)
                self._tell_avatar_time()
                self._each(lambda meter: meter.spent(self._caps()))

    async def aclose(self) -> None:
        """Finishes, within 2 s."""
        self._tell_avatar_time()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S), asyncio.TaskGroup() as tasks:
                for meter in self._meters:
                    tasks.create_task(_close(meter))
        except TimeoutError:
            logger.warning("metrics were not all written in time")

    def _each(self, tell: Callable[[Meter], None]) -> None:
        for meter in self._meters:
            try:
                tell(meter)
            except Exception as error:  # speech goes on, whatever a meter makes of it
                logger.error("%s did not count an event", type(meter).__name__, exc_info=error)

    def _tell_avatar_time(self) -> None:
        total_s = self._avatar_time()
        more_s, self._told_s = total_s - self._told_s, total_s
        self._each(lambda meter: meter.avatar_seconds(more_s))


def _tell(meter: Meter, event: Event | Rejection) -> None:
    meter.queue(event.facts.queue)
    meter.paused(event.facts.paused)
    if isinstance(event, Rejection):
        meter.refuse(event.reason)
    elif event.report.state in OUTCOMES:
        meter.observe(UtteranceRecord.of(event), event.trace)


async def _run(meter: Meter) -> None:
    try:
        await meter.run()
    except Exception as error:
        logger.error("%s does not work any more", type(meter).__name__, exc_info=error)


async def _close(meter: Meter) -> None:
    try:
        await meter.aclose()
    except Exception as error:
        logger.error("%s did not finish", type(meter).__name__, exc_info=error)
