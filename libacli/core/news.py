"""What somebody who follows a room is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Event:
    """An agent told what became of an utterance; None: it told something that nobody understands."""

    members: dict[str, Any] | None


@dataclass(frozen=True)
class Status:
    """An agent's answer to what it speaks and what waits; None: there is no agent."""

    members: dict[str, Any] | None


@dataclass(frozen=True)
class Caption:
    """What an utterance says."""

    utterance_id: str
    text: str


@dataclass(frozen=True)
class Link:
    """The state of our connection, in words; empty: it is well."""

    state: str


News: TypeAlias = Event | Status | Caption | Link
