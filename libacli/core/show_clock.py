"""How much of a show remains, as far as its letters and what was heard of it tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_ENOUGH_S = 5.0
"""So much has to be heard before its pace counts more than the usual one."""


@dataclass
class ShowClock:
    """Knows how long each cue is expected to take, and learns the voice's pace."""

    left: dict[int, float]
    """Seconds that are expected, of the cues that are not over, by number."""

    lines_s: float = 0.0
    """Those of lines, together: it is looked at far more often than cues end."""

    pauses_s: float = 0.0

    current: int = 0
    """Number of the cue that is on; 0: none is."""

    began_s: float = 0.0
    """When it began, in seconds since the show did."""

    _pauses: set[int] = field(default_factory=set)
    _expected_s: float = 0.0
    _heard_s: float = 0.0

    @classmethod
    def of(cls, lines: Mapping[int, float], pauses: Mapping[int, float]) -> ShowClock:
        """Of the seconds that lines and pauses are expected to take, by number."""
        left = {**lines, **pauses}
        return cls(left, sum(lines.values()), sum(pauses.values()), _pauses=set(pauses))

    def begin(self, number: int, now_s: float) -> None:
        self.current, self.began_s = number, now_s

    def end(self, number: int, took_s: float | None) -> None:
        """It is over, after so many seconds; None: it was not heard."""
        expected_s = self.left.pop(number, 0.0)
        if number in self._pauses:
            self.pauses_s -= expected_s
        else:
            self.lines_s -= expected_s
            if took_s:
                self._expected_s += expected_s
                self._heard_s += took_s
        if number == self.current:
            self.current = 0

    @property
    def pace(self) -> float:
        """How many times as long as expected lines take."""
        return self._heard_s / self._expected_s if self._expected_s > _ENOUGH_S else 1.0

    def of_cue_s(self, number: int) -> float:
        """How long that cue takes."""
        return self.left.get(number, 0.0) * (1.0 if number in self._pauses else self.pace)

    def remaining_s(self, now_s: float) -> float:
        """How long all takes that is not over, waiting aside."""
        all_s = self.lines_s * self.pace + self.pauses_s
        on_s = min(self.of_cue_s(self.current), now_s - self.began_s) if self.current else 0.0
        return max(0.0, all_s - on_s)
