"""The port of the ledger: who notes conversations down, and who finds what was left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libacli.edges.avatars.ledger import Entry


class ConversationLedger(Protocol):
    """For threads, all but `keep`: they wait for disks and networks, within a bound.

    What cannot be noted down where this machine keeps it is a LibaError: nothing is asked for then that could
    not be ended. Other machines are told as far as they can be reached.
    """

    @property
    def owner(self) -> str:
        """Its name: what it has written belongs to it until it is closed, or its process is gone."""

    def enter(self, entry: Entry, *, most: int = 0) -> bool:
        """Notes down a new one; False, and nothing is noted: `most` run or may run already. 0: no matter."""

    def others(self, entry: Entry) -> int:
        """How many run or may run, besides that one, at its service."""

    def write(self, entry: Entry) -> None:
        """Notes down what is new about one."""

    def forget(self, entry: Entry) -> None:
        """Crosses one out: it has ended, or never began."""

    def entries(self) -> Sequence[Entry]:
        """Everything that is noted down on this machine."""

    def orphans(self) -> Sequence[Entry]:
        """Those of them whose owner is gone, for sure."""

    def lapsed(self) -> Sequence[Entry]:
        """Those of other machines whose owner gives no sign of life: before one is ended, ask who needs it.

        Raises StoreError when that cannot be told.
        """

    def claim(self, entry: Entry) -> bool:
        """Whether it is this ledger's to end now, and nobody else's; until `forget` or `release`.

        False: somebody else is at it, or has ended it, or its owner lives.
        """

    def release(self, entry: Entry) -> None:
        """It was not ended: the next one may try."""

    async def keep(self) -> None:
        """Shows others that its owner lives: until cancelled, or for as long as that takes any doing."""

    def close(self) -> None:
        """Lets go: what it has written belongs to nobody from now on. Safe to call twice."""
