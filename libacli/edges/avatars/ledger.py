"""Which conversations were begun, on disk, so that what a crash left behind can be ended."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from platformdirs import user_state_path

from libacli.errors import LibaError
from libacli.private_files import private_file, private_folder


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


class Ledger:
    """A folder with one 0600 file per conversation. Several processes may use it at once.

    Each ledger holds a lock for as long as its process lives: what belongs to nobody's lock is an orphan.
    Raises LibaError when it cannot be written: nothing is created then that could not be ended.
    """

    def __init__(self, folder: Path) -> None:
        self.owner = uuid.uuid4().hex
        self._folder = folder
        self._lock: IO[bytes] | None = None

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
            raise LibaError(
                f"cannot note down a conversation in {self._folder}: {error.strerror}",
                hint="without that it could not be ended after a crash; free the disk",
            ) from error

    def forget(self, entry: Entry) -> None:
        """Crosses an entry out: its conversation has ended, or never began."""
        try:
            (self._folder / f"{entry.name}.json").unlink(missing_ok=True)
        except OSError as error:
            raise LibaError(
                f"cannot cross out a conversation in {self._folder}: {error.strerror}",
                hint="it has ended; make the folder writable",
            ) from error

    def orphans(self) -> list[Entry]:
        """Entries whose owner is gone."""
        return [entry for entry in self.entries() if not self._is_held(entry.owner)]

    def close(self) -> None:
        """Lets go: what still stands in it is an orphan from now on. Safe to call twice."""
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

    def _lock_file(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"

    def entries(self) -> list[Entry]:
        """Everything that is noted down."""
        entries = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                entries.append(Entry(**json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):  # half a file, or crossed out just now
                continue
        return entries


def conversations_path() -> Path:
    """Where this user's agents note conversations down until they have ended."""
    return user_state_path("liba") / "conversations"
