"""Which conversations were begun, on disk, so that what a crash left behind can be ended."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO

from platformdirs import user_state_path

from libacli.errors import FileError
from libacli.private_files import locked, private_file, private_folder

LONGEST_S = 3900.0
"""So long after it was asked for none runs any more: services end it after an hour, as they were asked to."""

_LOCK_TIMEOUT_S = 2.0
"""Others hold the lock for the milliseconds that it takes to write a line."""


@dataclass(frozen=True)
class Entry:
    """A conversation that costs money from its creation to its end."""

    name: str
    """The unique name that it was created under."""

    room: str
    base_url: str
    owner: str
    """Name of the ledger that answers for it."""

    id: str = ""
    """The service's own; empty while its creation is under way, or when the answer was lost."""

    vendor: str = "tavus"
    """Whose conversation it is. Versions that knew one vendor alone did not write it down."""

    asked_at: float = 0.0
    """When it was asked for, in POSIX seconds; 0: an earlier version has not written that down."""

    is_local: bool = False
    """It is of `liba avatar run` on this machine: it costs nothing, and ends with its service."""

    def counts_beside(self, other: Entry) -> bool:
        """Whether it may still run when that one is asked for, at the same service."""
        is_other = self.name != other.name and not self.is_local
        is_over = other.asked_at - self.asked_at > LONGEST_S
        return is_other and (self.vendor, self.base_url) == (other.vendor, other.base_url) and not is_over


class Ledger:
    """A folder with one 0600 file per conversation. Several processes may use it at once.

    Implements `ConversationLedger`. Each holds a lock for as long as its process lives: what belongs to
    nobody's lock is an orphan. Raises FileError when it cannot be written: nothing is created then that could
    not be ended.
    """

    def __init__(self, folder: Path) -> None:
        self.owner = uuid.uuid4().hex
        self._folder = folder
        self._lock: IO[bytes] | None = None
        self._claims: dict[str, IO[bytes]] = {}

    def write(self, entry: Entry) -> None:
        """Notes an entry down, or what is new about it; on disk when this returns."""
        try:
            private_folder(self._folder)
            if self._lock is None:
                self._lock = os.fdopen(private_file(self._lock_file(self.owner)), "wb")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the name is new: nobody can have it
            part = self._folder / f".{entry.name}.part"
            with os.fdopen(private_file(part), "w") as file:
                json.dump(asdict(entry), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / f"{entry.name}.json")
        except OSError as error:
            raise _not_noted(self._folder, error) from error

    def enter(self, entry: Entry, *, most: int = 0) -> bool:
        """See `ConversationLedger`."""
        if not most:
            self.write(entry)
            return True
        try:
            private_folder(self._folder)
            with locked(self._folder / "entering", timeout_s=_LOCK_TIMEOUT_S):
                if self.others(entry) >= most:
                    return False
                self.write(entry)
        except OSError as error:
            raise _not_noted(self._folder, error) from error
        return True

    def others(self, entry: Entry) -> int:
        """See `ConversationLedger`: of this machine."""
        return sum(one.counts_beside(entry) for one in self.entries())

    def forget(self, entry: Entry) -> None:
        """Crosses an entry out: its conversation has ended, or never began."""
        try:
            (self._folder / f"{entry.name}.json").unlink(missing_ok=True)
        except OSError as error:
            raise FileError(
                f"cannot cross out a conversation in {self._folder}: {error.strerror}",
                hint="it has ended; make the folder writable",
            ) from error
        if entry.name in self._claims:
            self._claim_file(entry).unlink(missing_ok=True)
            self.release(entry)

    def orphans(self) -> list[Entry]:
        """Entries whose owner is gone."""
        return [entry for entry in self.entries() if not self._is_held(entry.owner)]

    def lapsed(self) -> list[Entry]:
        """See `ConversationLedger`: of other machines it knows nothing."""
        return []

    def claim(self, entry: Entry) -> bool:
        """See `ConversationLedger`. Another process that has claimed it holds its lock, until it dies."""
        if entry.name in self._claims:
            return False
        try:
            claim = os.fdopen(private_file(self._claim_file(entry)), "wb")
        except OSError as error:
            raise _not_noted(self._folder, error) from error
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            return False
        self._claims[entry.name] = claim
        if not (self._folder / f"{entry.name}.json").exists():  # somebody else has ended it meanwhile
            self._claim_file(entry).unlink(missing_ok=True)
            self.release(entry)
            return False
        return True

    def release(self, entry: Entry) -> None:
        """See `ConversationLedger`."""
        if claim := self._claims.pop(entry.name, None):
            claim.close()

    async def keep(self) -> None:
        """See `ConversationLedger`: its lock shows that its owner lives, without any doing."""

    def close(self) -> None:
        """Lets go: what still stands in it is an orphan from now on. Safe to call twice."""
        for claim in self._claims.values():
            claim.close()
        self._claims.clear()
        if self._lock:
            self._lock_file(self.owner).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _is_held(self, owner: str) -> bool:
        try:
            with self._lock_file(owner).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._lock_file(owner).unlink(missing_ok=True)
        return False

    def _claim_file(self, entry: Entry) -> Path:
        return self._folder / f".{entry.name}.claim"

    def _lock_file(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"

    def entries(self) -> list[Entry]:
        """Everything that is noted down, and can be read."""
        return [entry for file in self._files() if isinstance(entry := _found_in(file), Entry)]

    def unreadable(self) -> list[Path]:
        """Files that must be entries and cannot be read: what they note down may run, and cost money."""
        return [file for file in self._files() if isinstance(_found_in(file), Exception)]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))


def _found_in(file: Path) -> Entry | Exception | None:
    """The entry, or why it cannot be read; None: it was crossed out just now."""
    try:
        entry = Entry(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return error
    are_right = all(isinstance(getattr(entry, one.name), _KINDS[str(one.type)]) for one in fields(Entry))
    return entry if are_right else TypeError("a member is of another kind")


_KINDS: dict[str, type | tuple[type, ...]] = {"str": str, "float": (int, float), "bool": bool}


def _not_noted(folder: Path, error: OSError) -> FileError:
    return FileError(
        f"cannot note down a conversation in {folder}: {error.strerror}",
        hint="without that it could not be ended after a crash; free the disk",
    )


def conversations_path() -> Path:
    """Where this user's agents note conversations down until they have ended."""
    return user_state_path("liba") / "conversations"
