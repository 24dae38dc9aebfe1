"""Why an avatar that stood in a room goes."""

from __future__ import annotations

import enum


class Due(enum.Enum):
    """How the visit of an avatar came to its end."""

    RENEWAL = enum.auto()
    """The service is about to end it."""

    LOST = enum.auto()
    """It left, or does not do its part."""

    IN_VAIN = enum.auto()
    """The same, and nothing was had of it."""

    UNWANTED = enum.auto()
    """Nobody watches, nothing is said, or nothing may be spent."""
