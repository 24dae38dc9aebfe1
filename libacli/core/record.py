"""What is kept of one finished utterance: no spoken text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from libacli.core.lifecycle import OUTCOMES, State
from libacli.errors import RefusedError

DURATIONS = ("waited", "d01", "d12", "d2a", "d23", "total")
"""Names of the durations, in milliseconds; what they mean: `Timeline.durations_ms`."""

_MAX_CHARS = 500


@dataclass(frozen=True)
class Record:
    """One utterance that has ended, as its agent saw it. Durations are None where an end was not reached."""

    id: str
    t0: float
    """When the request came: POSIX seconds of the agent's clock. Durations come from its monotonic one."""

    outcome: State
    """One of `OUTCOMES`."""

    reason: str = ""
    """Why it was not `done`."""

    room: str = ""
    agent: str = ""
    """The name that the agent is dispatched by."""

    epoch: str = ""
    """Which life of the agent."""

    route: str = ""
    """`tavus` or `fallback`; empty if it came to no sound."""

    route_reason: str = ""
    voice: str = ""
    model: str = ""
    chars: int = 0
    chunks: int = 0
    frames: int = 0
    """20 ms frames that the sink took, the silence at the end included."""

    speech_ms: float = 0.0
    """From the first to the last sound in them."""

    underruns: int = 0
    t3_source: str = ""
    """`reported`, `observed` or `estimated`."""

    replayed: bool = False
    waited: float | None = None
    d01: float | None = None
    d12: float | None = None
    d2a: float | None = None
    d23: float | None = None
    total: float | None = None

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Record:
        """The record in an event of a final state, or in what `encode` gave.

        Members that are not known are left out. Raises RefusedError when it is not of an utterance that has
        ended, or a member has the wrong type.
        """
        members = {"outcome": event.get("state"), **event}
        if not isinstance(members["outcome"], str) or members["outcome"] not in OUTCOMES:
            raise RefusedError("malformed", "it is not about an utterance that has ended")
        known = {
            field.name: _checked(field.name, field.type, members[field.name])
            for field in fields(cls)
            if members.get(field.name) is not None
        }
        if not known.get("id") or "t0" not in known:
            raise RefusedError("malformed", "it has no id, or no t0")
        return cls(**known)

    def encode(self) -> dict[str, Any]:
        """All members, by name."""
        return asdict(self)


def _checked(name: str, type_name: Any, value: Any) -> Any:
    """`value`, if a field of that type can have it: strings are cut, numbers are finite and not negative."""
    if "float" in type_name or type_name == "int":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and math.isfinite(value) and 0 <= value < 1e15:
            return int(value) if type_name == "int" else float(value)
    elif type_name == "bool":
        if isinstance(value, (bool, int)):
            return bool(value)
    elif isinstance(value, str):
        return cast("State", value) if name == "outcome" else value[:_MAX_CHARS]
    raise RefusedError("malformed", f"{name} is not a {type_name}")
