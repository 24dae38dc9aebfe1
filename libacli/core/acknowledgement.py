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
    """Which life of the agent has taken it: with another one its queue is gone, unless it is journaled."""

    journaled: bool | None = None
    """Whether it is written down for the agent that follows; None: this agent writes nothing down."""

    paused: bool = False
    """Nothing begins until the queue is resumed."""

    standby: bool = False
    """It begins when somebody gives the go-ahead."""

    def encode(self) -> dict[str, Any]:
        """The answer as JSON members."""
        return {
            "epoch": self.epoch,
            "id": self.id,
            "position": self.position,
            "duplicate": self.duplicate,
            **({"paused": True} if self.paused else {}),
            **({"standby": True} if self.standby else {}),
            **({} if self.journaled is None else {"journaled": self.journaled}),
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
                journaled = members.get("journaled")
                known = journaled if isinstance(journaled, bool) else None
                is_paused, is_on_standby = (members.get(name) is True for name in ("paused", "standby"))
                return cls(utterance_id, position, duplicate, epoch, known, is_paused, is_on_standby)
        raise RefusedError("malformed", "it is no acknowledgement")
