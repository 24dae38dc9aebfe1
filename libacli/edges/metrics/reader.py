"""Reads the records that agents have kept, while they go on writing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from libacli.core.avatar_time import AvatarTime
from libacli.core.route import route_of
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.schema import D01, FIELDS, connect, explaining, version

if TYPE_CHECKING:
    from sqlite3 import Connection

_PAGE = 500
_FLAGS = ("reworded", "hedged", "cached", "replayed", "resumed")
_PATIENCE_S = 2.0


class MetricsReader:
    """Reads the file at `path`, which need not be there yet, and may be moved away for a new one.

    For any thread; calls wait for each other.

    All methods raise ConfigError when the file is not a metrics store or one of a newer liba, and LibaError
    when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.files_opened = 0
        """How many files were read from so far: the positions of one tell nothing of another."""

        self._path = path
        self._connection: Connection | None = None
        self._columns: tuple[str, ...] = ()
        self._opened: tuple[int, int] | None = None
        """Device and inode of the file that the connection is of."""

        self._lock = Lock()

    def __enter__(self) -> MetricsReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file, once the call that may be under way is over. Safe to call twice."""
        with self._lock:
            self._close()

    def records(
        self, *, since: float | None = None, until: float | None = None, room: str = ""
    ) -> Iterator[UtteranceRecord]:
        """Records with `since` ≤ t0 < `until` (POSIX seconds), oldest first, however many there are.

        What is written meanwhile may be among them or not. An empty `room` is every room.
        """
        # A page at a time: one long reading would keep the writers' journal from being cleared.
        last = (-math.inf if since is None else since, -1)
        end = math.inf if until is None else until
        where = "(t0, position) > (?, ?) AND t0 < ? ORDER BY t0, position"
        while page := self._select(where, (*last, end), room, _PAGE):
            yield from (record for _, record in page)
            position, record = page[-1]
            last = (record.t0, position)

    def avatar_times(
        self, *, since: float | None = None, until: float | None = None, room: str = ""
    ) -> list[AvatarTime]:
        """When avatars were there, as far as that reaches into this time; in the order in which they came."""
        begin, end = -math.inf if since is None else since, math.inf if until is None else until
        with self._lock, explaining(self._path):
            connection = self._open()
            if connection is None or not self._has_avatar_times(connection):
                return []
            rows = connection.execute(
                "SELECT began, ended, seconds, room, vendor FROM avatar_time "
                "WHERE ended >= ? AND began < ? AND (? = '' OR room = ?) ORDER BY began",
                (begin, end, room, room),
            )
            return [AvatarTime(*row) for row in rows]

    def latest(self, count: int, *, room: str = "") -> list[tuple[int, UtteranceRecord]]:
        """The `count` records that were written last, with their positions, the oldest of them first."""
        return self._select("TRUE ORDER BY position DESC", (), room, max(count, 0))[::-1]

    def after(self, position: int, *, room: str = "", limit: int = 1000) -> list[tuple[int, UtteranceRecord]]:
        """At most `limit` records that were written after the one at `position`, in that order; 0: the first.

        Positions grow from record to record and are never used twice.
        """
        return self._select("position > ? ORDER BY position", (position,), room, limit)

    def _select(
        self, where: str, values: tuple[float, ...], room: str, limit: int
    ) -> list[tuple[int, UtteranceRecord]]:
        with self._lock, explaining(self._path):
            connection = self._open()
            if connection is None:
                return []
            of_room = "room = ? AND " if room else ""
            columns = ", ".join(("position", *self._columns)).replace("d01", D01)
            rows = connection.execute(
                f"SELECT {columns} FROM record WHERE {of_room}{where} LIMIT ?",
                (*((room,) if room else ()), *values, limit),
            )
            return [(position, self._record(members)) for position, *members in rows]

    def _record(self, members: list[Any]) -> UtteranceRecord:
        known = dict(zip(self._columns, members, strict=True))
        known |= {name: bool(known[name]) for name in _FLAGS if name in known}
        known["route"] = route_of(known["route"])
        if "asked_chars" not in known and known.get("provider") and not known.get("cached"):  # an older store
            known |= {"asked_chars": known["chars"], "asked_ms": known["speech_ms"]}
        return UtteranceRecord(**known)

    def _has_avatar_times(self, connection: Connection) -> bool:
        """A store of an older liba has none."""
        return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'avatar_time'").fetchall())

    def _open(self) -> Connection | None:
        """None as long as there is no table to read from."""
        there = self._file_there()
        # One that is only gone is kept open: its inode cannot become that of the next file then.
        if self._connection and there in (None, self._opened):
            return self._connection
        self._close()
        if there is None:
            return None
        connection = connect(self._path, "ro", _PATIENCE_S)
        try:
            if version(connection, self._path):
                # A store of an older liba may lack the newer columns.
                columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(record)")}
                self._columns = tuple(name for name in FIELDS if name in columns)
                self._connection, self._opened = connection, there
                self.files_opened += 1
        finally:
            if self._connection is None:
                connection.close()
        return self._connection

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection, self._opened = None, None
        self._columns = ()

    def _file_there(self) -> tuple[int, int] | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = self._path.stat()
            return found.st_dev, found.st_ino
        return None
