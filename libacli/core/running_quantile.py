"""Where the slow ones begin, among the last values of something that is measured time and again."""

from __future__ import annotations

from collections import deque

from libacli.core.timeline import percentile


class RunningQuantile:
    """Remembers the last `most` values: old ones say nothing of a service's today."""

    def __init__(self, most: int) -> None:
        self._values: deque[float] = deque(maxlen=most)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._values)

    def add(self, value: float) -> None:
        self._values.append(value)

    def percentile(self, percent: float) -> float:
        """The smallest that at least `percent` % of them do not exceed. Raises ValueError for none."""
        return percentile(self._values, percent)
