"""What a reading tells of while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libacli.speech.ports import Take


def _nothing(what: object) -> None:
    pass


@dataclass(frozen=True)
class ReadingEvents:
    """Whom a reading calls, and when."""

    on_ask: Callable[[int], None] = _nothing
    """The voice is asked for more: so many characters."""

    on_take: Callable[[Take], None] = _nothing
    """The first piece of a chunk is about to be played."""

    on_sound: Callable[[float], None] = _nothing
    """The voice has made a piece of so many seconds, which it did not remember."""

    on_last_request: Callable[[], None] = lambda: None
    """Nothing more is to be asked for: it is time to ask for the next utterance."""
