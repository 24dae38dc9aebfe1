"""Holes in speech: silences that are no pauses of the voice."""

from __future__ import annotations

from collections.abc import Sequence

HOLE_S = 0.12
"""Shorter ones are part of how people speak; longer ones are heard as a stumble."""

_SHORTENED_S = 0.06
"""By so much a receiver that catches up may shorten a pause."""


def holes_s(silences: Sequence[float], pauses: Sequence[float]) -> list[float]:
    """How much silence there was, in seconds, beyond the pauses of the voice; longest first.

    `silences` are those inside one rendition of a text, `pauses` those of one that came whole.
    A pause accounts for the shortest silence that is not shorter; what this has too much is a hole, and so is
    every silence without a pause.
    """
    left, found = sorted(silences), []
    for pause in sorted(pauses, reverse=True):
        place = next((n for n, silence in enumerate(left) if silence >= pause - _SHORTENED_S), None)
        if place is not None:
            found.append(left.pop(place) - pause)
    return sorted((hole for hole in [*left, *found] if hole > 0), reverse=True)
