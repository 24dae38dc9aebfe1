"""When a picture is to be shown, on our own clock."""

from __future__ import annotations

from collections import deque

_RENDER_DELAY_S = 0.01
"""WebRTC hands a picture over so long before it is to be shown."""

_PICTURES = 250
"""Ten seconds at 25 a second: one of them came without delay, and clocks do not drift apart meanwhile."""


class PictureClock:
    """Reads the time stamps of one track's pictures on our own clock.

    Of the latest pictures, the one that arrived with the least delay tells how the two clocks differ.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_PICTURES)

    @property
    def is_known(self) -> bool:
        return bool(self._offsets)

    def shown_at(self, timestamp_us: int, arrived_at: float) -> float:
        """When the picture is to be shown, in seconds on the clock of `arrived_at`."""
        stamp = timestamp_us / 1_000_000
        self._offsets.append(arrived_at - stamp)
        return stamp + min(self._offsets) + _RENDER_DELAY_S
