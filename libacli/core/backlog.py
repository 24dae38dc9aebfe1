"""What waits to be spoken, in which order, and what became of it."""

from __future__ import annotations

import bisect
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.lifecycle import FINAL_STATES, State
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import MoveRequest
from libacli.core.reasons import refusal
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError


class Backlog:
    """Utterances in the order they are to be spoken: higher priority first, then first come first served.

    One that is moved takes the priority of its new place, so that this holds on for whatever comes after it.
    While it is paused nothing is next, and what waits does not get older; it takes what comes all the same.
    What is on standby has no place in that order before it is released, and does not get older either.
    Holds at most `limit` waiting ones, and where others have filled it a quarter more of the owner's.
    Remembers what became of an id for `memory_s` seconds after its end, so that a repeated request is
    answered and not spoken again; one that repeats the id alone, with something else to say, is refused.
    """

    def __init__(self, *, limit: int, memory_s: float = 600.0, memory_count: int = 4096) -> None:
        self._limit = limit
        self._memory_s = memory_s
        self._memory_count = memory_count
        self._waiting: list[Utterance] = []
        self._standby: list[Utterance] = []
        self._known: OrderedDict[str, Utterance] = OrderedDict()
        self._closed = False
        self._paused_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._standby)

    @property
    def waiting(self) -> list[Utterance]:
        """Next one first; those on standby come last."""
        return [*self._waiting, *self._standby]

    @property
    def is_paused(self) -> bool:
        return self._paused_at is not None

    def offer(
        self,
        request: SayRequest,
        now: float,
        *,
        speaking: Utterance | None = None,
        account: str = "",
        is_owners: bool = False,
    ) -> Acknowledgement:
        """Takes a request that has an id. Raises RefusedError, and remembers nothing, when it cannot."""
        self._forget(now)
        if known := self._known.get(request.id):
            # What an agent before this one has said is known by its id alone: its text is kept nowhere.
            if (
                known.request.text or known.request.sound
            ) and known.request.fingerprint != request.fingerprint:
                raise refusal("id_reused", "this id is that of another text, or of another voice")
            return self._acknowledged(known, speaking, duplicate=True)
        self.check_open()
        if len(self) >= self._limit and not (is_owners and self._has_owners_place()):
            why = ", and the queue is paused" if self.is_paused else ""
            raise RefusedError("queue_full", f"{self._limit} utterances are waiting already{why}")
        utterance = Utterance(request, Timeline(t0=now), account=account, is_owners=is_owners)
        self._put(utterance)
        return self._acknowledged(utterance, speaking)

    def take_up(self, utterance: Utterance) -> None:
        """Takes one that was accepted elsewhere, however many wait; a `resumed` one goes first."""
        self._put(utterance)

    def remember(self, utterance: Utterance) -> None:
        """Takes one that has ended elsewhere, unless its id is known."""
        self._known.setdefault(utterance.id, utterance)

    def find(self, utterance_id: str) -> Utterance | None:
        """The utterance of that id, waiting, spoken or remembered."""
        return self._known.get(utterance_id)

    def find_waiting(self, utterance_id: str) -> Utterance:
        """The utterance of that id, if it waits. Raises RefusedError, which says what became of it."""
        utterance = self._known.get(utterance_id)
        if utterance is None:
            raise refusal("unknown_utterance", "the agent knows of no utterance with this id")
        if utterance.is_over:
            raise refusal("not_waiting", f"it does not wait any more: it is {utterance.state}")
        if utterance not in self.waiting:
            raise refusal("being_spoken", "it does not wait any more: it is being spoken")
        return utterance

    def ended(self, count: int) -> list[Utterance]:
        """Those that ended last, as far as they are remembered; the newest one last."""
        over = [utterance for utterance in self._known.values() if utterance.state in FINAL_STATES]
        over.sort(key=lambda utterance: utterance.ended_at or 0.0)
        return over[len(over) - min(count, len(over)) :]

    def peek(self) -> Utterance | None:
        """The utterance that is next."""
        return self._waiting[0] if self._waiting and not self.is_paused else None

    def pop(self) -> Utterance | None:
        """Takes out the utterance that is next."""
        return self._waiting.pop(0) if self._waiting and not self.is_paused else None

    def peek_standby(self) -> Utterance | None:
        """The utterance that waits for its go-ahead longest."""
        return self._standby[0] if self._standby and not self.is_paused else None

    def release(self, utterance_id: str, now: float) -> tuple[Utterance, bool]:
        """Gives one on standby, without an id the first of them, its place in the order; and whether it was.

        Its time begins anew: it counts as accepted at `now`. Raises RefusedError where there is none.
        """
        if not utterance_id and not self._standby:
            raise refusal("nothing_on_standby", "no line waits for its go-ahead")
        utterance = self._known.get(utterance_id) if utterance_id else self._standby[0]
        if utterance is None:
            raise refusal("unknown_utterance", "the agent knows of no utterance with this id")
        if utterance not in self._standby:
            return utterance, False
        self._standby.remove(utterance)
        utterance.request = replace(utterance.request, standby=False)
        utterance.timeline, utterance.paused_s = Timeline(t0=now), 0.0
        self._put(utterance)
        return utterance, True

    def clear_standby(self, now: float, *, reason: str) -> list[Utterance]:
        """Takes out all on standby; they are `interrupted`."""
        return self._end(list(self._standby), "interrupted", now, reason)

    def expire(self, now: float) -> list[Utterance]:
        """Takes out those that have waited longer than they are worth; they are `expired`."""
        stale = [
            utterance
            for utterance in self._waiting
            if (ttl_ms := utterance.request.ttl_ms) is not None
            and (now - utterance.timeline.t0 - utterance.paused_s) * 1000 > ttl_ms
            and not self.is_paused
        ]
        return self._end(stale, "expired", now, "waited too long")

    def clear(self, now: float, *, reason: str) -> list[Utterance]:
        """Takes out everything that waits; it is `interrupted`."""
        return self._end(self.waiting, "interrupted", now, reason)

    def drop(self, utterance_id: str, now: float, *, reason: str) -> list[Utterance]:
        """Takes out the one with this id, if it waits."""
        found = [utterance for utterance in self.waiting if utterance.id == utterance_id]
        return self._end(found, "interrupted", now, reason)

    def hand_on(self, now: float, *, keeps: Callable[[Utterance], bool]) -> list[Utterance]:
        """Takes out those that another agent says."""
        kept = [utterance for utterance in self.waiting if keeps(utterance)]
        for utterance in kept:
            self._take_out(utterance)
            utterance.hand_on(now)
        return kept

    def move(self, asked: MoveRequest) -> int:
        """Puts one that waits elsewhere; how many of those that wait go before it then.

        It takes the priority of the one that it is put before, or, as the last one, behind. Raises
        RefusedError when it, or that other one, does not wait.
        """
        moved = self.find_waiting(asked.id)
        place_of = self.find_waiting(asked.before) if asked.before else moved
        if moved in self._standby or place_of in self._standby:
            raise refusal("on_standby", "a line that waits for its go-ahead has no place in the queue yet")
        others = [utterance for utterance in self._waiting if utterance is not moved]
        if asked.before == asked.id or not others:
            return self._waiting.index(moved)
        ids = [utterance.id for utterance in others]
        place = ids.index(asked.before) if asked.before else 0 if asked.to == "first" else len(others)
        moved.rank = others[min(place, len(others) - 1)].rank
        if math.isfinite(moved.rank):
            moved.request = replace(moved.request, priority=-int(moved.rank))
        self._waiting = [*others[:place], moved, *others[place:]]
        return place

    def pause(self, now: float) -> bool:
        """From now on nothing is next; whether that is news."""
        is_news = not self.is_paused
        self._paused_at = now if self._paused_at is None else self._paused_at
        return is_news

    def resume(self, now: float) -> bool:
        """Goes on; whether it was paused."""
        if self._paused_at is None:
            return False
        for utterance in self.waiting:
            utterance.paused_s += max(0.0, now - max(self._paused_at, utterance.timeline.t0))
        self._paused_at = None
        return True

    def check_open(self) -> None:
        """Raises RefusedError once it was closed."""
        if self._closed:
            raise RefusedError("draining", "the agent is shutting down and takes nothing new")

    def close(self) -> None:
        """From now on everything new is refused."""
        self._closed = True

    def _put(self, utterance: Utterance) -> None:
        utterance.rank = -math.inf if utterance.resumed else -utterance.request.priority
        if utterance.is_on_standby:
            self._standby.append(utterance)
        else:
            bisect.insort(self._waiting, utterance, key=lambda one: one.rank)
        self._known[utterance.id] = utterance

    def _has_owners_place(self) -> bool:
        """Whether one more of the owner's fits where all places are taken."""
        return sum(utterance.is_owners for utterance in self.waiting) < max(1, self._limit // 4)

    def _end(self, ending: list[Utterance], state: State, now: float, reason: str) -> list[Utterance]:
        for utterance in ending:
            self._take_out(utterance)
            utterance.become(state, now, reason=reason)
        return ending

    def _take_out(self, utterance: Utterance) -> None:
        (self._standby if utterance in self._standby else self._waiting).remove(utterance)

    def _acknowledged(
        self, utterance: Utterance, speaking: Utterance | None, *, duplicate: bool = False
    ) -> Acknowledgement:
        waits = utterance in (waiting := self.waiting)
        return Acknowledgement(
            utterance.id,
            waiting.index(utterance) + (speaking is not None) if waits else 0,
            duplicate=duplicate,
            paused=waits and self.is_paused,
            standby=waits and utterance.is_on_standby,
        )

    def _forget(self, now: float) -> None:
        excess = len(self._known) - self._memory_count
        old = [
            known_id
            for index, (known_id, utterance) in enumerate(self._known.items())
            if utterance.ended_at is not None
            and (now - utterance.ended_at > self._memory_s or index < excess)
        ]
        for known_id in old:
            del self._known[known_id]
