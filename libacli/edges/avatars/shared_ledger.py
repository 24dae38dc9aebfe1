"""The ledger of all machines: on this one's disk first, and where the others see it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

from libacli.edges.avatars.ledger import LONGEST_S, Entry, Ledger
from libacli.errors import StoreError

logger = logging.getLogger("liba.avatar")

_LOOKS_IN_A_LEASE = 3
_TRIES_IN_A_LEASE = 12
"""The same while the store is gone: who lives says so before anybody looks again."""


class ConversationStore(Protocol):
    """Where machines meet that use one account. For threads. Raises StoreError, within a bound."""

    lease_s: float
    """So long after its last sign of life an owner is taken for one that lives."""

    @property
    def answers_for_s(self) -> float:
        """Seconds since it failed last, as far as this process has asked."""

    def enter(self, name: str, text: str, owner: str, *, most: int, longest_s: float) -> bool:
        """Writes it down, a sign of its owner's life if one is named.

        False, and nothing is written: `most` others are there that were asked for less than so long ago.
        """

    def others(self, name: str, *, longest_s: float) -> int:
        """How many are there, besides that one, that were asked for less than so long ago."""

    def show(self, owner: str, machine: str, texts: Mapping[str, str]) -> None:
        """A sign of the owner's life: `texts` is all that its machine has, by name.

        The owner's own are written down again, those of its machine that are not among them crossed out.
        """

    def lapsed(self) -> Sequence[str]:
        """Those whose owner gives no sign of life. StoreError also while it has hardly begun to hear them."""

    def claim(self, name: str, owner: str, claimer: str, *, is_gone: bool) -> str:
        """`yours` to one alone, for half a minute; else `taken`, `ended`, or `alive` unless `is_gone`."""

    def release(self, name: str, claimer: str) -> None:
        """The claim is given back."""

    def forget(self, name: str, *, is_others: bool) -> None:
        """Crosses it out; whether it `is_others`, who have to be told when they come back."""

    def let_go(self, owner: str) -> None:
        """That owner lives no more."""

    def close(self) -> None:
        """Closes its connections."""


class SharedLedger:
    """A `Ledger` that other machines see. Implements `ConversationLedger`.

    What `store` cannot be told is told later, by `keep`; while it is gone this machine counts alone.
    """

    def __init__(self, file: Ledger, store: ConversationStore, machine: str) -> None:
        self._file = file
        self._store = store
        self._machine = machine
        self._at_a_time = threading.Lock()
        """So that what is crossed out is not written again from what was read before."""

    @property
    def owner(self) -> str:
        return self._file.owner

    def enter(self, entry: Entry, *, most: int = 0) -> bool:
        """See `ConversationLedger`."""
        with self._at_a_time:
            if not self._file.enter(entry, most=most):
                return False
            with suppress(StoreError):
                if not self._enter(entry, most):
                    self._file.forget(entry)
                    return False
        return True

    def others(self, entry: Entry) -> int:
        """See `ConversationLedger`."""
        try:
            return self._store.others(entry.name, longest_s=LONGEST_S)
        except StoreError:
            return self._file.others(entry)

    def write(self, entry: Entry) -> None:
        """See `ConversationLedger`."""
        with self._at_a_time:
            if entry.owner == self.owner or self._is_here(entry):
                self._file.write(entry)
            with suppress(StoreError):
                self._enter(entry, 0)

    def forget(self, entry: Entry) -> None:
        """See `ConversationLedger`."""
        with self._at_a_time:
            self._file.forget(entry)
            with suppress(StoreError):
                self._store.forget(entry.name, is_others=entry.owner != self.owner)

    def entries(self) -> list[Entry]:
        """See `ConversationLedger`."""
        return self._file.entries()

    def orphans(self) -> list[Entry]:
        """See `ConversationLedger`."""
        return self._file.orphans()

    def lapsed(self) -> list[Entry]:
        """See `ConversationLedger`."""
        # After the store was gone, who lives says so first.
        if self._store.answers_for_s < self._store.lease_s:
            return []
        found = [json.loads(text) for text in self._store.lapsed()]
        return [_entry(noted) for noted in found if noted["machine"] != self._machine]

    def claim(self, entry: Entry) -> bool:
        """See `ConversationLedger`."""
        is_here = self._is_here(entry)
        if is_here and not self._file.claim(entry):
            return False
        try:
            answer = self._store.claim(entry.name, entry.owner, self.owner, is_gone=is_here)
        except StoreError:
            return is_here
        if answer == "ended":
            self._file.forget(entry)
        elif answer != "yours":
            self._file.release(entry)
        return answer == "yours"

    def release(self, entry: Entry) -> None:
        """See `ConversationLedger`."""
        self._file.release(entry)
        with suppress(StoreError):
            self._store.release(entry.name, self.owner)

    async def keep(self) -> None:
        """See `ConversationLedger`."""
        while True:
            try:
                await asyncio.to_thread(self.show)
                parts = _LOOKS_IN_A_LEASE
            except StoreError:
                parts = _TRIES_IN_A_LEASE
            await asyncio.sleep(self._store.lease_s / parts)

    def show(self) -> None:
        """One sign of life. Raises StoreError."""
        with self._at_a_time:
            texts = {entry.name: self._text(entry) for entry in self._file.entries() if not entry.is_local}
            self._store.show(self.owner, self._machine, texts)

    def close(self) -> None:
        """See `ConversationLedger`."""
        self._file.close()
        with suppress(StoreError):
            self._store.let_go(self.owner)
        self._store.close()

    def _enter(self, entry: Entry, most: int) -> bool:
        text, living = self._text(entry), self.owner if entry.owner == self.owner else ""
        return self._store.enter(entry.name, text, living, most=most, longest_s=LONGEST_S)

    def _is_here(self, entry: Entry) -> bool:
        return any(one.name == entry.name for one in self._file.entries())

    def _text(self, entry: Entry) -> str:
        return json.dumps(asdict(entry) | {"machine": self._machine})


def _entry(noted: dict[str, object]) -> Entry:
    """Without what another version may have written besides."""
    known = {name: value for name, value in noted.items() if name in Entry.__dataclass_fields__}
    return Entry(**known)  # type: ignore[arg-type]
