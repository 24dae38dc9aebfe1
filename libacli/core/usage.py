"""How far a cap is used up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """How much of a cap is used."""

    name: str
    used: float
    limit: float
    unit: str
    resets_in_s: float
    """Seconds until nothing of it is used, if nothing is added."""
