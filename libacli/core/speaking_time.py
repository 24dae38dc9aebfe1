"""How long a text takes to say, as far as its letters tell: enough to see that sound cannot be all of it."""

from __future__ import annotations

import re
from typing import Literal

_SHORTEST_S = 0.03
"""No voice says a letter or digit faster than this at normal speed; the usual is twice as long."""

_FAST_S, _SLOW_S = 0.047, 0.125
"""Beyond these hardly a voice speaks whole sentences at normal speed: they take 0.055 to 0.1 s a letter, most
of them 0.07. Samples of 8 or 16 kHz, played at 24 kHz, come out below, those of 44.1 or 48 kHz above."""

_USUAL_S, _USUAL_BEYOND_S, _USUAL_DIGIT_S = 0.07, 0.2, 0.25
"""The usual for a letter, for one of Chinese, Japanese or Korean, and for a digit, said as a word."""

_BEYOND_FROM = "\u2e80"
_ENOUGH_LETTERS = 40
_ALPHABETS_UNTIL = "\u0590"
"""Latin, Greek, Cyrillic, Armenian; of other scripts a letter may be a word."""

_UNSPEAKABLE = re.compile(r"\w+://\S+|\bwww\.\S+|\S+@\S+\.\w+|\[[^\]]*\]|<[^>]*>|(\w)(?=\1\1)")
"""Addresses, tags, the many o of Nooooo: servers leave them out, or take them for something else."""


def shortest_s(text: str, speed: float) -> float:
    """No voice has said `text` in less; `speed` counts when it is raised, for some take no notice of it."""
    spoken = _UNSPEAKABLE.sub("", text)
    return sum(map(str.isalnum, spoken)) * _SHORTEST_S / max(1.0, speed)


def usual_s(text: str, speed: float = 1.0) -> float:
    """About how long `text`, without marks of pauses, takes to say, in seconds."""
    letters = [char for char in text if char.isalnum()]
    digits = sum(map(str.isdigit, letters))
    beyond = sum(char >= _BEYOND_FROM for char in letters if not char.isdigit())
    alphabetic = len(letters) - digits - beyond
    return (alphabetic * _USUAL_S + beyond * _USUAL_BEYOND_S + digits * _USUAL_DIGIT_S) / speed


def oddity(text: str, seconds: float, speed: float) -> Literal["", "fast", "slow"]:
    """Whether `text` was said out of all reason fast or slow, so that samples were played at a wrong rate."""
    letters = sum(map(str.isalpha, text))
    if letters < _ENOUGH_LETTERS or any(
        char.isdigit() or char >= _ALPHABETS_UNTIL for char in text if char.isalnum()
    ):
        return ""
    pace_s = seconds / letters
    if pace_s < _FAST_S / max(1.0, speed):
        return "fast"
    return "slow" if pace_s > _SLOW_S / min(1.0, speed) else ""
