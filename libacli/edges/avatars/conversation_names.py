"""Names of conversations: unique, and they tell where to ask whether somebody still needs one.

A list of conversations is all that a machine has which did not begin them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

PREFIX = "liba-"
_LONGEST_ROOM = 40
_OTHERS = re.compile(r"[^A-Za-z0-9._]+")
_FORM = re.compile(
    rf"{PREFIX}(?P<project>[0-9a-f]{{6}})-(?P<agent>[A-Za-z0-9]{{1,8}})-(?P<epoch>[0-9a-f]{{8}})"
    r"-(?P<number>\d{1,9})(?:-(?P<room>[A-Za-z0-9._-]*))?",
    re.ASCII,
)


@dataclass(frozen=True)
class ConversationName:
    """What a name of ours tells. It can be the name of a file."""

    project: str
    """Of LiveKit: `project_of` its API key."""

    agent: str
    """`short_name` of the identity of the agent that the avatar speaks for."""

    epoch: str
    """Which life of that agent, 8 hexadecimal digits."""

    number: int
    """Of the conversation, in that life."""

    room: str
    """`short_name_of_room`."""

    def __str__(self) -> str:
        return f"{PREFIX}{self.project}-{self.agent}-{self.epoch}-{self.number}-{self.room}"

    @classmethod
    def read(cls, name: str) -> ConversationName | None:
        """None for a name that is not of this form; earlier versions had others with the same prefix."""
        found = _FORM.fullmatch(name)
        if found is None:
            return None
        return cls(
            found["project"], found["agent"], found["epoch"], int(found["number"]), found["room"] or ""
        )


def is_ours(name: str) -> bool:
    """Whether a conversation of this name was begun by liba, of whatever version."""
    return name.startswith(PREFIX)


def project_of(api_key: str) -> str:
    """Tells projects apart, and tells nobody the key."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:6]


def short_name(identity: str) -> str:
    """The end of an agent's identity, which is what differs between agents."""
    return re.sub(r"[^A-Za-z0-9]", "", identity)[-8:] or "agent"


def short_name_of_room(room: str) -> str:
    """As much of a room's name as may stand in the name of a file."""
    return _OTHERS.sub("-", room)[:_LONGEST_ROOM]
