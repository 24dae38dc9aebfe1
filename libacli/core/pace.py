"""How long speech may last: for bounds of those who wait for its end."""

from __future__ import annotations

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


def spoken_within_s(text: str) -> float:
    """Seconds after which `text` is spoken for certain, if nothing is said before it.

    Raises RefusedError where `text` would be refused for its markup.
    """
    return _BEFORE_SPEECH_S + longest_speech_s(text)
