"""How long speech may last: for bounds of those who wait for its end."""

from __future__ import annotations

from libacli.core.messages import SayRequest
from libacli.core.script import Pause, read_script

_LONGEST_S_PER_CHAR = 0.2
"""The embedded voice, measured: 0.05 to 0.08 s per character, pauses included; 0.15 at its slowest pace."""


def longest_speech_s(text: str) -> float:
    """Seconds that a slow speaker may take for `text`; what else may take time is for the waiter to add.

    Raises RefusedError where `text` would be refused for its markup.
    """
    items = read_script(text)
    return sum(item.seconds if isinstance(item, Pause) else len(item) * _LONGEST_S_PER_CHAR for item in items)


def longest_s(request: SayRequest) -> float:
    """Seconds that `request` may be heard for. Raises what `longest_speech_s` raises."""
    return request.sound.seconds if request.sound else longest_speech_s(request.text)
