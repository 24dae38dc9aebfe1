"""The port that avatar services hang on: who brings an avatar into a room, and ends it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class Expressions:
    """How avatars of a vendor are told what their faces are to show: by data packets."""

    topic: str
    message: Callable[[str], str]
    """Makes the packet out of one of `core.emotion.EMOTIONS`. It holds until the next one."""


@dataclass(frozen=True)
class AvatarVendor:
    """What is known of a vendor without asking it."""

    name: str
    """In ledgers and findings: `tavus`."""

    title: str
    """As people call it."""

    identity: str
    """Of the participant that its avatar joins as; nobody else is given a token for it."""

    sample_rate: int
    """Samples a second that its avatar takes over LiveKit's byte streams."""

    key_variable: str
    """Environment variable with the key of its service."""

    url_variable: str
    """The same with its address."""

    can_end: bool = True
    """Whether a conversation can be ended. If not, it ends by its longest duration, or when it is alone."""

    can_find: bool = True
    """Whether a conversation whose creation got no answer can be found by its name."""

    expressions: Expressions | None = None
    """None: its faces show what they like."""

    accepted: str = "the key"
    """What it has accepted when it takes an invitation, in the doctor's words."""

    refusals: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """HTTP status → what the service does then, and what to do about it, in the doctor's words."""


@dataclass(frozen=True)
class Invitation:
    """Asks an avatar into a room."""

    name: str
    """Unique: by it a conversation is found whose creation got no answer."""

    room_url: str
    """ws:// or wss:// address of the LiveKit server."""

    identity: str
    """Whom the token lets in."""

    token: str = field(repr=False)
    """Lets the avatar into the room, and into no other."""

    max_duration_s: int
    """The service ends the conversation after so many seconds, whatever happens here."""

    idle_timeout_s: int = 120
    """How long the avatar stays when the last viewer has left. How long nobody has come does not matter."""

    is_trial: bool = False
    """Only to see whether it would be taken. Nobody is to come, nothing to be billed, where that is known."""


@dataclass(frozen=True)
class ListedConversation:
    """A conversation that runs, as its service lists it."""

    id: str
    name: str


class AvatarService(Protocol):
    """Brings avatars into rooms. Use it as an async context manager.

    Each call is made once, because a conversation costs money from its creation to its end, and within a
    bound. Raises AvatarError and nothing else.
    """

    @property
    def vendor(self) -> AvatarVendor: ...

    @property
    def base_url(self) -> str:
        """Where it is asked. Conversations are known there alone."""
        ...

    async def create(self, invitation: Invitation) -> str:
        """Begins a conversation, whose avatar then joins; returns its id.

        An error with `is_unsure` set leaves open whether one was begun.
        """
        ...

    async def end(self, conversation_id: str) -> None:
        """Ends a conversation; that it is unknown or ended already is as good. Only if `vendor.can_end`."""
        ...

    async def find(self, name: str) -> Sequence[str]:
        """Ids of running conversations of this name: none or one. Only if `vendor.can_find`."""
        ...

    async def active(self) -> Sequence[ListedConversation]:
        """All conversations that run, whoever has begun them. Only if `vendor.can_find`."""
        ...

    async def end_reason(self, conversation_id: str) -> str:
        """Why a conversation has ended, in the service's words; empty: it runs, or that is not told."""
        ...

    async def misfit(self) -> str:
        """Why no avatar of these settings can come, in words; empty: the service knows of no reason."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
