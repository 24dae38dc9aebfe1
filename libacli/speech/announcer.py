"""What becomes of utterances and requests is told, in one way, to everybody who wants to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from libacli.core.event import AgentFacts, Event, QueueNews, Rejection
from libacli.core.queue_requests import QueueChange
from libacli.core.utterance import Utterance


class Outlet(Protocol):
    """Where events go."""

    def take_event(self, event: Event | Rejection) -> None:
        """Returns at once and raises nothing."""


class Announcer:
    """Makes one event of each change, and hands it to all outlets.

    `facts` tells what the agent says of itself now, `wall_clock` the time in POSIX seconds of a moment of the
    loop's clock. `on_begin` is called with each utterance that begins, before it is told: its text is in none
    of the events. `counters` are those of the outlets that only count: they hear of what nobody is told, too.
    `on_queue` are called when the queue itself has changed.
    """

    def __init__(
        self,
        facts: Callable[[], AgentFacts],
        wall_clock: Callable[[float], float],
        outlets: Sequence[Outlet],
        *,
        counters: Sequence[Outlet] = (),
        on_begin: Callable[[Utterance], None] = lambda utterance: None,
        on_queue: Sequence[Callable[[QueueNews], None]] = (),
    ) -> None:
        self.facts = facts
        self._wall_clock = wall_clock
        self._outlets = outlets
        self._counters = counters
        self._on_begin = on_begin
        self._on_queue = on_queue

    def announce(self, utterance: Utterance) -> None:
        """Tells what has just become of an utterance."""
        if utterance.state == "speaking":
            self._on_begin(utterance)
        t0 = round(self._wall_clock(utterance.timeline.t0), 3)
        facts = self.facts()
        facts = replace(facts, model=utterance.model or facts.model)
        self._hand_out(Event(facts, utterance.report(), t0, utterance.request.trace, utterance.asked()))

    def announce_rejection(self, rejection: Rejection) -> None:
        """Tells that a request was not taken."""
        self._hand_out(rejection)

    def announce_queue(self, change: QueueChange) -> None:
        """Tells that the queue is in another state, or in another order."""
        for take in self._on_queue:
            take(QueueNews(self.facts(), change))

    def count_rejection(self, rejection: Rejection) -> None:
        """Has it counted that a request was not taken, of which the room is told nothing."""
        for counter in self._counters:
            counter.take_event(rejection)

    def _hand_out(self, event: Event | Rejection) -> None:
        for outlet in self._outlets:
            outlet.take_event(event)
