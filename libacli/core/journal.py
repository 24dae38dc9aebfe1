"""What is written down of a queue that outlives its agent, and how.

A line that was accepted and has not ended is an `Entry`. Written down it is a `Line`: its text and who asked
for it are sealed, its id and its place are not. When it has ended only an `Ended` of it is kept, for as long
as its id is known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from libacli.core.lifecycle import OUTCOMES, State
from libacli.core.members import read_amount
from libacli.core.messages import MAX_REQUEST_BYTES, SayRequest, read_say
from libacli.errors import RefusedError

VERSION = 1

KNOWN_FOR_S = 600.0
"""How long the id of a line that has ended is known, as in a backlog."""

KEPT_FOR_S = 86_400.0 + KNOWN_FOR_S
"""A queue that nobody touches for so long is forgotten: no line may wait longer than a day."""

MOST_ENDED = 4096
"""Ids of lines that have ended, of one room."""

MOST_BEGUN = 2
"""A line whose agent died so often in the middle of it is not begun again: it may be why."""


@dataclass(frozen=True)
class Line:
    """A line as it is written down."""

    id: str
    number: int
    """Its place in the order of acceptance, or in that which somebody gave them; higher ones come later."""

    sealed: str
    """All the rest, encrypted; see `encode_entry`."""

    begun: int = 0
    """How often its speaking was begun."""

    def encode(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, members: object) -> Line:
        """Raises ValueError."""
        match members:
            case {"id": str(id), "number": int(number), "sealed": str(sealed), "begun": int(begun)}:
                return cls(id, number, sealed, begun)
        raise ValueError("it is no line")

    def bound_to(self, place: str) -> bytes:
        """What its seal holds for alone: this line of this queue, in this order."""
        return json.dumps([VERSION, place, self.id, self.number]).encode()


@dataclass(frozen=True)
class Ended:
    """What is still known of a line that has ended."""

    id: str
    state: State
    reason: str
    ended_at: float
    """POSIX seconds."""

    def encode(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, members: object) -> Ended:
        """Raises ValueError."""
        match members:
            case {"id": str(id), "state": str(state), "reason": str(reason), "ended_at": float(at) | int(at)}:
                if state in OUTCOMES:
                    return cls(id, state, reason, at)
        raise ValueError("it is no end of a line")


@dataclass(frozen=True)
class Legacy:
    """What an agent that takes a queue over finds."""

    lines: tuple[Line, ...] = ()
    """In the order of their acceptance."""

    ended: tuple[Ended, ...] = ()
    paused_at: float | None = None
    """Since when the queue is paused, in POSIX seconds; None: it is not."""


@dataclass(frozen=True)
class Entry:
    """A line that was accepted and has not ended."""

    request: SayRequest
    accepted_at: float
    """POSIX seconds: how long it may wait counts on, whoever speaks it."""

    account: str = ""
    """Who pays for it."""

    is_owners: bool = False
    paused_s: float = 0.0
    """For how long it waited while the queue was paused."""


def encode_entry(entry: Entry) -> bytes:
    """What is sealed of it."""
    members = {
        "at": round(entry.accepted_at, 3),
        "account": entry.account,
        "is_owners": entry.is_owners,
        "say": entry.request.encode(),
        **({"paused_s": round(entry.paused_s, 3)} if entry.paused_s else {}),
    }
    return json.dumps(members).encode()


def decode_entry(plain: bytes) -> Entry:
    """Raises ValueError for what is none, or none of this version."""
    members = json.loads(plain)
    match members:
        case {
            "at": float(at) | int(at),
            "account": str(account),
            "is_owners": bool(owners),
            "say": dict(say),
        }:
            return Entry(_read_request(say), at, account, owners, _read_paused(members))
    raise ValueError("it is no entry")


def read_paused(told: object) -> float | None:
    """Since when a queue is paused; what is no time says that it is not."""
    is_time = isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told)
    return float(told) if is_time else None  # type: ignore[arg-type]


def _read_paused(members: Mapping[str, Any]) -> float:
    try:
        return read_amount("paused_s", members.get("paused_s", 0.0))
    except RefusedError as error:
        raise ValueError(str(error)) from error


def _read_request(members: Mapping[str, Any]) -> SayRequest:
    try:
        return read_say(members, max_text_chars=MAX_REQUEST_BYTES)
    except RefusedError as error:
        raise ValueError(str(error)) from error
