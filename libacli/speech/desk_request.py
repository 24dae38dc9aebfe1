"""What a desk is asked for, how it is read, and what it answers to a stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from libacli.core.messages import SayRequest, StatusRequest, read_status, read_stop
from libacli.core.protocol import (
    CANCEL_METHOD,
    MOVE_METHOD,
    NEXT_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.core.queue_requests import (
    CancelRequest,
    MoveRequest,
    NextRequest,
    PauseRequest,
    read_cancel,
    read_move,
    read_next,
)


@dataclass(frozen=True)
class Say:
    """Asks for a text to be spoken."""

    request: SayRequest


@dataclass(frozen=True)
class Stop:
    """Asks for silence."""

    utterance_id: str = ""
    """Of the only one that is not to be spoken, or not further; empty: none is."""


DeskRequest: TypeAlias = Say | StatusRequest | Stop | CancelRequest | MoveRequest | PauseRequest | NextRequest


@dataclass(frozen=True)
class Stopped:
    """The answer to `Stop`."""

    ids: tuple[str, ...]
    """Of what was ended, what spoke first."""

    def encode(self, max_bytes: int) -> dict[str, Any]:
        """As many of them as fit into so much JSON, and how many more there are."""
        stopped: list[str] = []
        used = len(json.dumps({"stopped": [], "stopped_left_out": len(self.ids)}))
        for stopped_id in self.ids:
            used += len(json.dumps(stopped_id)) + len(", ")
            if used > max_bytes:
                return {"stopped": stopped, "stopped_left_out": len(self.ids) - len(stopped)}
            stopped.append(stopped_id)
        return {"stopped": stopped}


READERS: Mapping[str, Callable[[Mapping[str, Any]], DeskRequest]] = {
    STATUS_METHOD: read_status,
    STOP_METHOD: lambda body: Stop(read_stop(body)),
    CANCEL_METHOD: read_cancel,
    MOVE_METHOD: read_move,
    PAUSE_METHOD: lambda body: PauseRequest(True),
    RESUME_METHOD: lambda body: PauseRequest(False),
    NEXT_METHOD: read_next,
}
"""How a request is read whose method is none of say."""
