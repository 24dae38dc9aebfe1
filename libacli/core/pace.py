"""How long speech may last: for bounds of those who wait for its end."""

from __future__ import annotations

from libacli.core.messages import SayRequest
from libacli.core.script import Pause, read_script

_LONGEST_S_PER_CHAR = 0.2
"""The embedded voice, measured: 0.05 to 0.08 s per character, pauses included; 0.15 at its slowest pace."""

_BEFORE_SPEECH_S = 40.0
"""Room for what goes before it, the first words of a voice and the end that an avatar reports."""


def longest_speech_s(text: str) -> float:
    """Seconds that a slow speaker may take for `text`; what else may take time is for the waiter to add.

    Raises RefusedError where `text` would be refused for its markup.
    """
    items = read_script(text)
    return sum(item.seconds if isinstance(item, Pause) else len(item) * _LONGEST_S_PER_CHAR for item in items)


def longest_s(request: SayRequest) -> float:
    """Seconds that `request` may be heard for. Raises what `longest_speech_s` raises."""
    return request.sound.seconds if request.sound else longest_speech_s(request.text)


def heard_within_s(heard_s: float) -> float:
    """Seconds after which what may be heard for so long is over for certain, if nothing is said before it."""
    return _BEFORE_SPEECH_S + heard_s


def spoken_within_s(text: str) -> float:
    """The same for `text`. Raises RefusedError where it would be refused for its markup."""
    return heard_within_s(longest_speech_s(text))
