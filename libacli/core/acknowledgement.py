"""The agent's answer to a say: it has taken the utterance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libacli.errors import RefusedError


@dataclass(frozen=True)
class Acknowledgement:
    """An utterance was taken, now or before."""

    id: str
    position: int
    """How many utterances are spoken before it; 0: it is next, or is being spoken."""

    duplicate: bool = False
    """The id was known already: nothing was queued a second time."""

    epoch: str = ""
    """Which life of the agent has taken it: with another one its queue is gone."""

    def encode(self) -> dict[str, Any]:
        """The answer as JSON members."""
        return {
            "epoch": self.epoch,
            "id": self.id,
            "position": self.position,
            "duplicate": self.duplicate,
        }

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Acknowledgement:
        """Raises RefusedError, `malformed`, when it is none."""
        match members:
            case {
                "id": str(utterance_id),
                "epoch": str(epoch),
                "position": int(position),
                "duplicate": bool(duplicate),
            }:
                return cls(utterance_id, position, duplicate, epoch)
        raise RefusedError("malformed", "it is no acknowledgement")
