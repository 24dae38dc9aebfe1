"""What a supervisor knows of one room, and what follows from what it finds there. No clock, no network.

Four things, each with its own rule:

- whether it has to be looked into at all: only where something is odd, as each look costs calls;
- whether an agent is wanting: `Stage`, and the table below it;
- whether an agent that is there still lives: it is dead when its process was killed, or when it has missed
  so many calls in a row;
- whether another one may be sent for: not while the last one may still come, and ever later.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto

from libacli.edges.livekit.api import RoomRow
from libacli.edges.livekit.leader import Pulse

FIRST_PAUSE_S = 10.0
"""From one dispatch to the next: longer than an agent takes from being sent for into the room."""

LONGEST_PAUSE_S = 60.0
"""The pause doubles up to this one: nobody has served that room, and each try costs LiveKit two calls."""

RETURN_S = 15.0
"""How long an agent whose job goes on may take to come back into its room: its queue lives, too.
With a look before it, one after it and the way of another agent this stays within the promised 30 s."""

_LOOKS_WITHOUT = 2
"""One look may fall into the moment in which an agent has left and the next one has not come."""

_MISSES: dict[Pulse, float] = {"ready": 0.0, "starting": 0.5, "silent": 1.0}
_MOST_MISSES = 3.0
"""Calls 5 s apart: 15 s of silence, or 30 s of starting, are death. A replacement within 30 s is promised."""


class Stage(Enum):
    """How a room stands between two looks."""

    NEW = auto()
    """It is pinned, or lines wait for it, and no agent has been there yet: one is sent for although nobody is
    there."""

    SETTLED = auto()
    """An agent is there, or nobody who would want one."""

    LACKING = auto()
    """An agent is wanted and none is there, since `lacking_since` and in `looks_without` looks in a row."""


class Finding(Enum):
    """What a look into a room finds."""

    AGENT = auto()
    """An agent that lives, as far as is known."""

    DEAD_AGENT = auto()
    """None that lives, and one that was dead and has been put out, of a room that is worth another one."""

    PEOPLE = auto()
    """People, and no agent."""

    NOBODY = auto()
    """Neither; a dead agent may have been put out, which nobody misses."""


class Step(Enum):
    """What follows."""

    REST = auto()
    SEND = auto()
    """Send for an agent."""

    SEND_IF_IT_LASTS = auto()
    """The same, once it was so in two looks, and an agent whose job goes on had time to come back."""

    FORGET_UNLESS_KEPT = auto()
    """Look after it no more, unless it is pinned or has a job here."""


_TABLE: dict[tuple[Stage, Finding], tuple[Stage, Step]] = {
    (Stage.NEW, Finding.AGENT): (Stage.SETTLED, Step.REST),
    (Stage.NEW, Finding.DEAD_AGENT): (Stage.NEW, Step.SEND),
    (Stage.NEW, Finding.PEOPLE): (Stage.NEW, Step.SEND),
    (Stage.NEW, Finding.NOBODY): (Stage.NEW, Step.SEND),
    (Stage.SETTLED, Finding.AGENT): (Stage.SETTLED, Step.REST),
    (Stage.SETTLED, Finding.DEAD_AGENT): (Stage.LACKING, Step.SEND),
    (Stage.SETTLED, Finding.PEOPLE): (Stage.LACKING, Step.SEND_IF_IT_LASTS),
    (Stage.SETTLED, Finding.NOBODY): (Stage.SETTLED, Step.FORGET_UNLESS_KEPT),
    (Stage.LACKING, Finding.AGENT): (Stage.SETTLED, Step.REST),
    (Stage.LACKING, Finding.DEAD_AGENT): (Stage.LACKING, Step.SEND),
    (Stage.LACKING, Finding.PEOPLE): (Stage.LACKING, Step.SEND_IF_IT_LASTS),
    (Stage.LACKING, Finding.NOBODY): (Stage.SETTLED, Step.FORGET_UNLESS_KEPT),
}


@dataclass
class SupervisedRoom:
    """What is known of one room. Moments are on the caller's clock, in seconds."""

    is_pinned: bool = False
    """It is this worker's for good, also when everybody has left."""

    is_awaited: bool = False
    """Lines wait there that were accepted."""

    stage: Stage = Stage.SETTLED
    lacking_since: float = 0.0
    looks_without: int = 0
    identity: str = ""
    """Who went there from this worker last."""

    is_ours: bool = False
    """That one is there, is on its way, or was not seen to be gone yet."""

    agent: str = ""
    """Who was found there last, alive; empty: nobody."""

    asked_at: float = 0.0
    """When that agent was last asked for a sign of life."""

    dispatch_id: str = ""
    """Of the agent that was sent for and has not been seen yet."""

    row: RoomRow | None = None
    """As LiveKit listed it at the last look; None: it was not listed, and is not there."""

    _is_unseen: bool = True
    """It was not looked into yet, or could not be."""

    _misses: dict[str, float] = field(default_factory=dict)
    """By identity: how often in a row an agent did not answer."""

    _pause_s: float = FIRST_PAUSE_S
    _next_dispatch_at: float = 0.0

    @classmethod
    def pinned(cls) -> SupervisedRoom:
        return cls(is_pinned=True, stage=Stage.NEW)

    @classmethod
    def awaited(cls) -> SupervisedRoom:
        return cls(stage=Stage.NEW)

    @property
    def is_wanted(self) -> bool:
        """Whether it is worth an agent also when nobody is there."""
        return self.is_pinned or self.is_awaited

    @property
    def has_missed(self) -> bool:
        """Whether an agent of it did not answer its last call."""
        return bool(self._misses)

    def is_odd(self, row: RoomRow | None, now: float, *, has_job: bool) -> bool:
        """Whether it has to be looked into, where nobody shows that he lives; else all is as it was.

        `has_job`: an agent of this worker should be there.
        """
        self.is_ours = self.is_ours or has_job
        if self.is_ours or self._is_unseen or self.has_missed or row != self.row:
            return True
        is_wanting = self.stage is not Stage.SETTLED
        return is_wanting and (self.looks_without < _LOOKS_WITHOUT or now >= self._next_dispatch_at)

    def expect(self, identity: str) -> None:
        """An agent of this worker goes there."""
        self.identity, self.is_ours = identity, True

    def shows_life(self, now: float) -> None:
        """It is there, and shows that it lives."""
        self.agent, self.is_ours = self.identity, True
        self.found(Finding.AGENT, now)

    def was_seen(self, row: RoomRow | None, agents: Collection[str], *, has_job: bool) -> None:
        """It was looked into, and these agents are there."""
        self.row, self._is_unseen = row, False
        self.agent = next(iter(agents), "")
        self._misses = {identity: misses for identity, misses in self._misses.items() if identity in agents}
        self.is_ours = has_job or self.identity in agents

    def found(self, finding: Finding, now: float) -> Step:
        """Notes down what a look has found; what follows from it."""
        before = self.stage
        self.stage, step = _TABLE[before, finding]
        if finding is Finding.AGENT:
            self.dispatch_id = ""
        elif finding is Finding.NOBODY and self.stage is Stage.SETTLED:
            self._misses.clear()
        if self.stage is Stage.LACKING:
            if before is not Stage.LACKING:
                self.lacking_since, self.looks_without = now, 0
            self.looks_without += 1
        return step

    def not_seen(self) -> None:
        """LiveKit did not let itself be asked: who cannot be seen need not be gone."""
        self._misses.clear()
        self._is_unseen = True
        if self.stage is Stage.LACKING:
            self.stage = Stage.SETTLED

    def is_dead(self, identity: str, answer: Pulse) -> bool:
        """Whether an agent that answered so to the last of its calls is dead."""
        misses = self._misses.pop(identity, 0.0) + _MISSES[answer]
        if answer == "ready":
            self.may_send_again()
        elif misses >= _MOST_MISSES:
            return True
        else:
            self._misses[identity] = misses
        return False

    def may_send(self, step: Step, now: float, *, has_job: bool) -> bool:
        """Whether an agent is to be sent for now. `has_job`: one of this worker's may still come back."""
        return_s = RETURN_S if has_job else 0.0
        if step is Step.SEND_IF_IT_LASTS and (
            self.looks_without < _LOOKS_WITHOUT or now < self.lacking_since + return_s
        ):
            return False
        return now >= self._next_dispatch_at + (return_s if self.dispatch_id else 0.0)

    def was_sent_for(self, dispatch_id: str, now: float) -> None:
        self.dispatch_id = dispatch_id
        self._next_dispatch_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def may_send_again(self) -> None:
        """The next dispatch need not wait, nor the one after it any longer than usual."""
        self._pause_s, self._next_dispatch_at = FIRST_PAUSE_S, 0.0
