"""A caption and its time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class CaptionCue:
    """What is shown for a while."""

    start_ms: int
    end_ms: int
    text: str
    """Of one line or several, none of which is empty."""


def clipped(cues: Iterable[CaptionCue], end_ms: int) -> list[CaptionCue]:
    """What is shown of them before `end_ms`."""
    return [
        CaptionCue(cue.start_ms, min(cue.end_ms, end_ms), cue.text) for cue in cues if cue.start_ms < end_ms
    ]
