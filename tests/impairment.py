"""What a bad network does to packets, decided by a seed: pure, no clock and no socket."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """Of one direction. Times in milliseconds, shares from 0 to 1."""

    delay_ms: float = 0.0
    """On average, of packets that are far enough apart not to wait for each other."""

    jitter_ms: float = 0.0
    """Each packet takes up to so much less or more, evenly spread."""

    loss: float = 0.0
    reorder: float = 0.0
    """So many may overtake what was sent before them; all others wait for it, as in one queue."""

    def __post_init__(self) -> None:
        if not 0 <= self.jitter_ms <= self.delay_ms:
            raise ValueError("jitter is 0 to delay: no packet arrives before it was sent")
        if not (0 <= self.loss <= 1 and 0 <= self.reorder <= 1):
            raise ValueError("loss and reorder are shares, 0 to 1")


class Impairment:
    """What becomes of each packet of one direction.

    The fate of the nth packet, which is whether it is lost, how long it takes and whether it may overtake,
    follows from `seed` and n alone: the same seed treats the same stream alike.
    """

    def __init__(self, conditions: Conditions, seed: str | int) -> None:
        self._conditions = conditions
        self._chance = random.Random(seed)
        self._last_due_s = float("-inf")

    def due_s(self, now_s: float) -> float | None:
        """When the packet that came at `now_s` is to be passed on, on the same clock, in s; None: lost."""
        conditions = self._conditions
        lost, spread, overtakes = (self._chance.random() for _ in range(3))  # always three: see above
        if lost < conditions.loss:
            return None
        due_s = now_s + (conditions.delay_ms + (2 * spread - 1) * conditions.jitter_ms) / 1000
        if overtakes >= conditions.reorder:
            due_s = max(due_s, self._last_due_s)
        self._last_due_s = max(due_s, self._last_due_s)
        return due_s
