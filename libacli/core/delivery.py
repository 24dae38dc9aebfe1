"""What a sender knows of an utterance that it has handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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

    @property
    def is_journaled(self) -> bool:
        """Whether the agent that follows says it, if the one that took it is gone."""
        return bool(self.acknowledgement and self.acknowledgement.journaled)

    @property
    def ahead_s(self) -> float:
        """Seconds that what is said before it takes at most, by the agent's last word; 0: nothing is."""
        ahead_s = (self.report or {}).get("ahead_s")
        return ahead_s if isinstance(ahead_s, int | float) else 0.0

    @property
    def is_paused(self) -> bool:
        """It waits in a queue that is paused, as far as the agent told."""
        if self.report is not None:
            return self.report.get("paused") is True
        return bool(self.acknowledgement and self.acknowledgement.paused)

    @property
    def is_on_standby(self) -> bool:
        """It waits for its go-ahead, as far as the agent told."""
        if self.report is not None:
            return self.report.get("standby") is True
        return bool(self.acknowledgement and self.acknowledgement.standby)

    def taken_over(self, epoch: str) -> Delivery:
        """The same, with the agent of that epoch from now on."""
        known = self.acknowledgement
        return replace(self, acknowledgement=replace(known, epoch=epoch)) if known else self

    def encode(self) -> dict[str, Any]:
        known = self.acknowledgement or Acknowledgement(self.id, 0)
        return {"id": self.id, "level": self.level} | known.encode() | dict(self.report or {})
