"""What a queue in a journal is called: whose it is, which agent's, and of which room."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

DUE_AFTER_S = 10.0
"""A queue in which lines wait, and whose agent has written nothing for so long, may have lost its agent."""


@dataclass(frozen=True)
class Scope:
    """The queues that one kind of worker looks after."""

    api_key: str
    """Of LiveKit: two projects may have rooms of one name."""

    agent_name: str

    @property
    def digest(self) -> str:
        """For names of files and keys."""
        return _digest(self.api_key, self.agent_name)


@dataclass(frozen=True)
class Place:
    """The queue of one room."""

    scope: Scope
    room: str

    @property
    def name(self) -> str:
        """What entries are bound to."""
        return json.dumps([self.scope.api_key, self.scope.agent_name, self.room])

    @property
    def digest(self) -> str:
        """For names of files and keys: rooms may be called anything."""
        return f"{self.scope.digest}-{_digest(self.room)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
