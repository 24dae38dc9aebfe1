"""What a sender is told of its utterance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Acknowledgement:
    """What is known of an utterance: never more than somebody said who knows."""

    id: str
    level: str
    """`sent`, `accepted`, `audible`, `done` or `unconfirmed`."""

    epoch: str = ""
    position: int = 0
    duplicate: bool = False
    report: dict[str, Any] | None = None
    """The agent's own words on it: state, route, durations."""

    def encode(self) -> dict[str, Any]:
        members = {
            "id": self.id,
            "level": self.level,
            "epoch": self.epoch,
            "position": self.position,
            "duplicate": self.duplicate,
        }
        return members | (self.report or {})
