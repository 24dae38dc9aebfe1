"""One utterance on its way to the avatar, and which report of the end is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from livekit import rtc

from libacli.errors import SinkError
from libacli.speech.ports import Playback

_POSITION_TOLERANCE = 0.2
_LEAST_PLAYED = 0.5
_LEAST_PLAYED_AFTER_MISS = 0.95


@dataclass(eq=False)
class Segment:
    """One utterance on its way to the avatar."""

    writer: rtc.ByteStreamWriter
    on_audible: Callable[[], None]
    pushed_s: float = 0.0
    began_at: float | None = None
    """When the first frame went, on the loop's clock."""

    sounded_at: float | None = None
    """When the first frame went that is not silence."""

    is_heard: bool = False
    follows_clear: bool = False
    """What was cleared before it may still be heard for a moment."""

    is_closed: bool = False
    outcome: asyncio.Future[Playback] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def lose(self, reason: str) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(SinkError(reason))
            self.outcome.exception()  # it may be that nobody asks any more

    def fits(self, position_s: float, now: float, *, is_late_due: bool) -> bool:
        """Whether a report of the end is of this utterance: all of it is sent, length and time fit.

        `is_late_due`: the report of an earlier one is still due, and may come any time.
        """
        if not self.is_closed or self.outcome.done() or self.began_at is None:
            return False
        is_long_enough = abs(position_s - self.pushed_s) <= _POSITION_TOLERANCE * self.pushed_s + 0.1
        least_played = _LEAST_PLAYED_AFTER_MISS if is_late_due else _LEAST_PLAYED
        return is_long_enough and now - self.began_at >= least_played * self.pushed_s


def played_s(payload: str) -> float | None:
    """Seconds that an avatar's report says it played; None when that cannot be read."""
    try:
        position = json.loads(payload)["playback_position"]
    except (ValueError, TypeError, KeyError):
        return None
    return float(position) if isinstance(position, int | float) and position >= 0 else None
