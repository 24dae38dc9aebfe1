"""What an avatar's turns so far tell about the next one: how long its sound and its reports take.

Pure; times are seconds of one clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from libacli.core.return_feed import STALLED_S

FINISH_MARGIN_S = 3.0
"""How long a report may take at first, and sound may go on after its time: the way there, the picture, the
call back. Who is never silent, because he hums, has ended then."""

LEAST_MARGIN_S = 0.5
"""How long a report may take of one that does not report, or is in time: one call."""

_LAG_FACTOR = 2.0
"""A report may be so many times later than others were."""

_LINES_TO_LEARN = 3
"""So many lines of an avatar are heard before it is held to their ways: the first one finds it cold."""

_WAY_FACTOR = 2.0
_HOLE_FACTOR = 2.0
"""So many times longer than others a way, or a hole, may be before it is stalled, if that is more."""


@dataclass
class TurnHistory:
    """What earlier turns tell about the next one. The turns of one sink share it."""

    may_echo: bool = False
    """What was sent of the last turn may be heard for a moment yet."""

    shortest_way_s: float = 0.0
    """Shortest time so far from sound sent to sound heard; 0: none is known."""

    longest_way_s: float = 0.0
    """The longest one of this avatar."""

    lines_heard: int = 0
    """How many turns of this avatar were heard to their end."""

    longest_hole_s: float = 0.0
    """By how much longer than what was sent this avatar was silent, and went on."""

    lag_s: float | None = None
    """How long after an end its report comes; None: nothing is known of that."""

    unreported_since: float | None = None
    """When the last turn was heard to its end, if no report of that has come: the next one is of that."""

    was_late: bool = False
    """A report that came in this turn was taken for that of the one before."""

    def meet_another(self) -> None:
        """Another avatar takes the turns that follow. It may be slower, and reports like the one before."""
        self.may_echo = False
        self.longest_way_s = self.longest_hole_s = 0.0
        self.lines_heard = 0

    @property
    def margin_s(self) -> float:
        """How long a report may take."""
        if self.lag_s is None:
            return FINISH_MARGIN_S
        return min(FINISH_MARGIN_S, LEAST_MARGIN_S + _LAG_FACTOR * self.lag_s)

    @property
    def stalled_s(self) -> float:
        """How much longer than what was sent it may be silent."""
        return max(STALLED_S, _HOLE_FACTOR * min(self.longest_hole_s, STALLED_S))

    def audible_s(self, at_most_s: float) -> float:
        """How long it may take from sound sent to sound heard."""
        if self.lines_heard < _LINES_TO_LEARN:
            return at_most_s
        return min(at_most_s, max(self.longest_way_s + STALLED_S, _WAY_FACTOR * self.longest_way_s))

    def learn_hole(self, hole_s: float) -> None:
        if hole_s <= self.stalled_s:  # else it is not the avatar that was held up
            self.longest_hole_s = max(self.longest_hole_s, hole_s)

    def learn_way(self, way_s: float) -> None:
        if way_s > 0:  # else the silence that a line begins with was left out
            self.shortest_way_s = min(way_s, self.shortest_way_s or way_s)
            self.longest_way_s = max(way_s, self.longest_way_s)

    def learn_end(self, ended_at: float, reported_at: float | None) -> None:
        """A turn was heard to its end; its report came, or did not come in time."""
        self.lines_heard += 1
        if reported_at is None:
            self.lag_s = (self.lag_s or 0.0) / 2
            # Not twice in a row: one call that got lost would make each report one of the line before.
            self.unreported_since = None if self.was_late else ended_at
        else:
            self.lag_s = max(0.0, reported_at - ended_at, (self.lag_s or 0.0) / 2)
            self.unreported_since = None
        self.was_late = False

    def takes_report(self, now: float) -> bool:
        """Whether a report is of the last turn, or of none: not of the one that waits for its own."""
        if self.unreported_since is None:
            return False
        lag_s, self.unreported_since = now - self.unreported_since, None
        self.was_late = True
        if lag_s <= FINISH_MARGIN_S:  # one that is later is not worth waiting for
            self.lag_s = lag_s
        return True
