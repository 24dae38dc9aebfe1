"""The two ports of a queue that outlives its agent: where it is written down, and how it is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libacli.core.journal import Ended, Legacy, Line


class Journal(Protocol):
    """The queue of one room, where the agent that follows finds it. One agent at a time may write to it.

    All methods raise StoreError when it cannot be reached; what was asked for may have been done then, and
    can be done again. A call that is cancelled may take effect later, but before any later call of the same.
    """

    async def take_over(self) -> Legacy:
        """Makes it this agent's, and shuts out the one that had it; what it holds. Ends older than
        `KNOWN_FOR_S` are none. What cannot be read is left out, and told in the log."""

    async def write(
        self, lines: Sequence[Line], ended: Sequence[Ended], *, paused_at: float | None = None
    ) -> None:
        """Has each of `lines` in it as it is now, instead of each that `ended` this, and since when (POSIX
        seconds) the queue is paused, None: it is not; all or nothing.

        Raises FencedError when another agent has taken over, ForgottenError when everything that was in it is
        lost: it has to be taken over and written anew. Nothing is written in either case.
        """

    async def release(self) -> None:
        """This agent is gone: whoever looks for queues without an agent finds it at once."""

    async def remove(self) -> None:
        """Nothing is left of it, of whoever it is: no line, and no id of one."""

    async def aclose(self) -> None:
        """Releases what is open. Safe to call twice."""


class Seal(Protocol):
    """Encrypts, so that only who has the key can read it, and only in the place where it was put."""

    def close(self, plain: bytes, bound_to: bytes) -> str:
        """Printable ASCII."""

    def open(self, sealed: str, bound_to: bytes) -> bytes:
        """Raises ValueError for what was sealed with another key, or elsewhere, or not at all."""
