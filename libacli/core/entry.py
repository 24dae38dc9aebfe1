"""What lets a browser in: a code that works once, its session, and who has to leave after that."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_KEPT = 1000
"""Codes, and sessions: as many as a server takes connections, more could not be there at once."""

SENT_KEPT_S = 3600.0
"""Where an utterance went. An agent knows it for ten minutes after its end, before which it may wait long."""

MOST_GUESTS = 50
"""Guests of one session, and codes that wait for some: a twentieth of all, so that one session that lets in
ever more pushes out none but its own guests."""


@dataclass(frozen=True)
class Session:
    """Leave to watch one room, with `can_say` to make its agent speak, with `can_control` to stop it."""

    name: str
    """For limits: its own, or that of the session whose link it came by; no secret."""

    room: str
    can_say: bool
    expires_at: float
    """On the clock that the sessions were given."""

    is_guest: bool = False
    """Whether it came by the link of a session."""

    can_control: bool = False
    identity: str = ""
    """Who it is in its room; a guest is another participant than its host."""

    digest: str = field(default="", repr=False)
    """Of its token, which is kept nowhere: it is found by this."""


@dataclass(frozen=True)
class EntryCode:
    """What a code gives that stands in a link."""

    name: str
    """That of the session which it gives."""

    room: str
    can_say: bool
    expires_at: float
    can_control: bool = False
    session_ends_at: float | None = None
    """When the session ends whose link it is in; None: it is the link of somebody with a key."""

    @property
    def is_guest(self) -> bool:
        return self.session_ends_at is not None


@dataclass(frozen=True)
class Leaving:
    """A viewer whose session has ended."""

    identity: str
    room: str
    until: float
    """Until then a token lets it in again."""


@dataclass(frozen=True)
class SentUtterance:
    """Where an utterance went."""

    room: str
    epoch: str
    """The life of the agent that it went to."""

    fingerprint: str = ""
    """Of room and content: the same id with another one is another utterance. The text is kept nowhere."""
