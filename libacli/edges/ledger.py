"""Which conversations were begun, on disk, so that what a crash left behind can be ended."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from libacli.errors import LibaError


@dataclass(frozen=True)
class Entry:
    """A conversation that costs money from its creation to its end."""

    name: str
    """The unique name that it was created under."""

    room: str
    base_url: str
    pid: int
    """Process that answers for it."""

    id: str = ""
    """Tavus's id; empty while its creation is under way, or when the answer was lost."""


class Ledger:
    """A folder with one 0600 file per conversation. Several processes may use it at once.

    Raises LibaError when it cannot be written: nothing is created then that could not be ended.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, entry: Entry) -> None:
        """Notes an entry down, or what is new about it; on disk when this returns."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self._folder / f".{entry.name}.part"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
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
        (self._folder / f"{entry.name}.json").unlink(missing_ok=True)

    def orphans(self) -> list[Entry]:
        """Entries whose process is gone."""
        return [entry for entry in self._entries() if not _is_alive(entry.pid)]

    def _entries(self) -> list[Entry]:
        entries = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                entries.append(Entry(**json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):  # half a file, or crossed out just now
                continue
        return entries


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
