"""When things happened to one utterance, and the durations between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

MarkName = Literal["turn", "t1", "t2", "ta", "t3"]

DURATIONS = ("waited", "d01", "d12", "d2a", "d23", "total")
"""Names of the durations, in milliseconds; what they mean: `Timeline.durations_ms`."""


@dataclass
class Timeline:
    """Marks of one utterance, in seconds of one monotonic clock. A mark, once set, does not move."""

    t0: float
    """The agent received the say request."""

    turn: float | None = None
    """It was this utterance's turn to speak; before that it waited in the queue."""

    t1: float | None = None
    """First PCM came out of the voice; when it had it before, the turn."""

    t2: float | None = None
    """First frame was handed to the sink."""

    ta: float | None = None
    """First sound that is not silence played on the speaking participant's track."""

    t3: float | None = None
    """Playback finished."""

    def mark(self, name: MarkName, now: float) -> None:
        """Sets a mark to `now` unless it is set."""
        if getattr(self, name) is None:
            setattr(self, name, now)

    def durations_ms(self) -> dict[str, float]:
        """`waited`, `d01`, `d12`, `d2a`, `d23` and `total` in milliseconds, as far as both ends are known.

        `waited`, `d01`, `d12` and `d2a` follow each other from the request until it is heard; `d01` counts
        from its turn, or from the request where it had to wait for none.
        """
        spans = {
            "waited": (self.t0, self.turn),
            "d01": (self.t0 if self.turn is None else self.turn, self.t1),
            "d12": (self.t1, self.t2),
            "d2a": (self.t2, self.ta),
            "d23": (self.t2, self.t3),
            "total": (self.t0, self.t3),
        }
        return {
            name: round((end - start) * 1000, 2)
            for name, (start, end) in spans.items()
            if start is not None and end is not None
        }


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` % of them do not exceed (nearest rank).

    Raises ValueError when there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
