"""What a sender knows of an utterance that it has handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libacli.core.acknowledgement import Acknowledgement


@dataclass(frozen=True)
class Delivery:
    """How far an utterance has come: never more than somebody said who knows."""

    id: str
    level: str
    """`sent`, `accepted`, `audible`, `done` or `unconfirmed`."""

    acknowledgement: Acknowledgement | None = None
    """None: the agent could not be asked for one."""

    report: Mapping[str, Any] | None = None
    """The agent's own words on it, if it was asked: state, route, durations."""

    @classmethod
    def accepted(cls, acknowledgement: Acknowledgement) -> Delivery:
        return cls(acknowledgement.id, "accepted", acknowledgement)

    @property
    def epoch(self) -> str:
        return self.acknowledgement.epoch if self.acknowledgement else ""

    def encode(self) -> dict[str, Any]:
        known = self.acknowledgement or Acknowledgement(self.id, 0)
        members = {
            "id": self.id,
            "level": self.level,
            "epoch": known.epoch,
            "position": known.position,
            "duplicate": known.duplicate,
        }
        return members | dict(self.report or {})
