"""Which of the frames that a video track gives are pictures."""

from __future__ import annotations

from livekit import rtc

_SMALLEST_PX = 16
"""A track that has ended gives some black frames of 8 by 8."""


def is_picture(frame: rtc.VideoFrame) -> bool:
    return min(frame.width, frame.height) >= _SMALLEST_PX
