"""How a speaker reads: what it asks the voice for at a time, how long it holds back, what follows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How text is cut, what the voice is waited for, and what follows."""

    max_chunk_chars: int = 2000
    """Most characters that one request to the voice gets."""

    first_chunk_chars: int = 2000
    """Most characters of the first request."""

    max_hold_s: float = 3.0
    """Longest time for which a voice that is slow or unsteady is held back before its first sound."""

    patience_s: float = 30.0
    """How long a line may wait in silence for a voice that asks for time."""

    silence_tail_ms: int = 120
    """Silence after every utterance; an avatar swallows the last syllable without it."""
